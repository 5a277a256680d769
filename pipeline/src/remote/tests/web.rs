//! `http://`.

use super::server::Fault;
use super::*;

#[test]
fn what_is_remote() {
    for pattern in ["s3://b/a.tar", "gs://b/", "az://c/*.tar", "http://h/a.tar", "HTTPS://h/a.tar"] {
        assert!(is_remote(pattern), "{pattern}");
    }
    for pattern in ["a.tar", "/data/s3:/a.tar", "file:///a.tar", "ftp://h/a.tar", "s3:/b"] {
        assert!(!is_remote(pattern), "{pattern}");
    }
}

#[test]
fn a_file_is_found_and_read_in_part() {
    let server = Server::start();
    server.put("/a b/x.tar", bytes(1000));
    let (remote, url) = (remote(&server), format!("{}/a%20b/x.tar", server.url()));
    let object = object(&remote, &url);
    assert_eq!((object.bytes, object.at.to_string()), (1000, url));
    assert_eq!(remote.read(&object, 10..20).wait().unwrap(), bytes(1000)[10..20]);
    assert_eq!(server.requests(), ["HEAD /a b/x.tar", "GET /a b/x.tar 10-19"]);
    let error = text(remote.read(&object, 990..1001).wait(), &server);
    assert_eq!(error, "URL/a%20b/x.tar: has 1000 bytes, 990 to 1001 were asked for");
}

#[test]
fn braces_stand_for_many_files_and_a_list_is_refused() {
    let server = Server::start();
    server.put("/x/0.tar", bytes(10));
    server.put("/x/1.tar", bytes(11));
    let (remote, url) = (remote(&server), server.url());
    let objects = remote.list(&format!("{url}/x/{{1..0}}.tar")).wait().unwrap();
    assert_eq!(objects.iter().map(|object| object.bytes).collect::<Vec<_>>(), [10, 11]);
    for pattern in ["/x/", "/x/*.tar", ""] {
        let error = text(remote.list(&format!("{url}{pattern}")).wait(), &server);
        assert!(error.contains("a web server does not list its files"), "{error}");
    }
}

#[test]
fn async_code_awaits_a_task() {
    let server = Server::start();
    server.put("/x/a.tar", bytes(10));
    let remote = remote(&server);
    let objects = async { remote.list(&format!("{}/x/a.tar", server.url())).await.unwrap() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(objects)[0].bytes, 10);
}

#[test]
fn a_url_that_is_signed_for_get_alone_is_known_by_its_first_byte() {
    let server = Server::start();
    server.put("/x/a.tar", bytes(1000));
    server.fail("/x/a.tar", usize::MAX, Fault::NoHead);
    let remote = remote(&server);
    let object = object(&remote, &format!("{}/x/a.tar?X-Amz-Signature=HIDDEN", server.url()));
    assert_eq!((object.bytes, format!("{:?}", object.at).contains('?')), (1000, false));
    assert_eq!(server.requests(), ["HEAD /x/a.tar", "GET /x/a.tar 0-0"]);
}

#[test]
fn user_and_password_are_sent_and_not_shown() {
    let server = Server::start();
    server.put("/x/a.tar", bytes(10));
    let remote = remote(&server);
    let url = server.url().replace("//", "//me:HIDDEN%20@");
    object(&remote, &format!("{url}/x/a.tar"));
    assert_eq!(server.authorization().as_deref(), Some("Basic bWU6SElEREVOIA=="));
    let error = text(remote.list(&format!("{url}/x/b.tar")).wait(), &server);
    assert_eq!(error, "URL/x/b.tar: no such object (404)");
}

#[test]
fn answers_that_say_no_are_told_apart() {
    let server = Server::start();
    server.put("/x/a.tar", bytes(10));
    let (remote, url) = (remote(&server), format!("{}/x/a.tar", server.url()));
    for (status, code, expected) in [
        (403, "", "access denied (403): is the URL's signature or password right, and has it not expired?"),
        (404, "", "no such object (404)"),
        (400, "Malformed", "the server answered 400 Malformed"),
        (503, "", "the server answered 503, 3 times"),
    ] {
        server.fail("/x/a.tar", usize::MAX, Fault::Refuse { status, code });
        assert_eq!(text(remote.list(&url).wait(), &server), format!("URL/x/a.tar: {expected}"));
    }
    server.fail("/x/a.tar", 2, Fault::Refuse { status: 503, code: "SlowDown" });
    assert_eq!(object(&remote, &url).bytes, 10, "the third try is answered");
}

#[test]
fn a_server_that_is_not_there_and_one_that_is_silent() {
    let server = Server::start();
    server.put("/x/a.tar", bytes(10));
    let remote = brisk_remote(&server);
    server.fail("/x/a.tar", usize::MAX, Fault::Silence);
    let error = text(remote.list(&format!("{}/x/a.tar", server.url())).wait(), &server);
    assert_eq!(error, "URL/x/a.tar: no answer within 1 s, 3 times");
    // Nobody listens at a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = text(remote.list(&format!("http://me:HIDDEN@127.0.0.1:{port}/a.tar")).wait(), &server);
    let expected = format!("http://127.0.0.1:{port}/a.tar: cannot reach the server: Connection refused");
    assert!(error.starts_with(&expected) && error.ends_with(", 3 times"), "{error}");
}
