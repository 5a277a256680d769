//! `s3://`.

use super::server::Fault;
use super::*;

/// A server with a bucket.
fn bucket() -> Server {
    let server = Server::start();
    for name in
        ["a-0.tar", "a-1.tar", "a-1.tar.idx", "b.zip", "c.parquet", ".d.tar", "e+ f%.tar", "deep/x.tar"]
    {
        server.put(&format!("/bucket/train/{name}"), bytes(10));
    }
    server.put("/bucket/root.tar", bytes(10));
    server
}

fn names(remote: &Remote, pattern: &str) -> Vec<String> {
    let objects = remote.list(pattern).wait().unwrap();
    objects.iter().map(|object| object.at.to_string().replace("s3://bucket/", "")).collect()
}

#[test]
fn objects_prefixes_wildcards_and_braces() {
    let server = bucket();
    let remote = remote(&server);
    let all = ["train/a-0.tar", "train/a-1.tar", "train/b.zip", "train/c.parquet", "train/e+ f%.tar"];
    assert_eq!(names(&remote, "s3://bucket/train/"), all, "in several pages");
    assert_eq!(names(&remote, "s3://bucket/train/*"), all);
    assert_eq!(names(&remote, "s3://bucket/train/a-*"), all[..2]);
    assert_eq!(names(&remote, "s3://bucket/train/{b,a}*"), all[..3]);
    assert_eq!(names(&remote, "s3://bucket/{train/a-{0..1},root}.tar"), ["root.tar", all[0], all[1]]);
    assert_eq!(names(&remote, "s3://bucket"), ["root.tar"]);
    assert_eq!(names(&remote, "s3://bucket/train/e+ f%.tar"), [all[4]], "no escapes in a bucket's names");
    assert_eq!(
        names(&remote, "s3://bucket/train/a-1.tar.idx"),
        ["train/a-1.tar.idx"],
        "an object may have any name"
    );
    let object = object(&remote, "s3://bucket/train/a-0.tar");
    assert_eq!(remote.read(&object, 2..5).wait().unwrap(), bytes(10)[2..5]);
}

#[test]
fn what_names_nothing_is_an_error_that_says_so() {
    let server = bucket();
    let remote = remote(&server);
    let error = |pattern: &str| text(remote.list(pattern).wait(), &server);
    assert_eq!(error("s3://bucket/x.tar"), "s3://bucket/x.tar: no such object (404)");
    let nothing = "matches no .tar, .zip or .parquet object";
    assert_eq!(error("s3://bucket/x/"), format!("s3://bucket/x/: {nothing}"));
    assert_eq!(error("s3://bucket/train/z*.tar"), format!("s3://bucket/train/z*.tar: {nothing}"));
    let no_bucket = "no such bucket (404): is its name right, and is it at this endpoint?";
    assert_eq!(error("s3://other/x.tar"), format!("s3://other/x.tar: {no_bucket}"));
    assert_eq!(error("s3://other/"), format!("s3://other/: {no_bucket}"));
    assert_eq!(
        error("s3://bucket/*/a.tar"),
        "s3://bucket/*/a.tar: a wildcard can stand only in the last part"
    );
    assert_eq!(
        error("s3://bucket/train/a[.tar"),
        "s3://bucket/train/a[.tar: invalid range pattern at character 1"
    );
    assert_eq!(error("s3:///a.tar"), "s3:///a.tar: names no bucket");
    assert!(error("s3://bucket/a//b.tar").starts_with("s3://bucket/a//b.tar: Path"));
    let error = error("s3://AKIAHIDDEN:HIDDEN@bucket/a.tar");
    assert!(
        error.contains("names a user: credentials and accounts are taken from the environment"),
        "{error}"
    );
}

#[test]
fn refusals_say_what_to_do() {
    let server = bucket();
    let remote = remote(&server);
    let denied =
        "may AWS_ACCESS_KEY_ID with its AWS_SECRET_ACCESS_KEY, or else the machine's role, read the bucket?";
    for (fault, expected) in [
        (
            Fault::Refuse { status: 403, code: "AccessDenied" },
            format!("access denied (403 AccessDenied): {denied}"),
        ),
        (
            Fault::Refuse { status: 403, code: "SignatureDoesNotMatch" },
            format!("access denied (403 SignatureDoesNotMatch): {denied}"),
        ),
        (
            Fault::Refuse { status: 400, code: "ExpiredToken" },
            "the credentials have expired (400): get new ones, and start again".to_owned(),
        ),
        (
            Fault::Elsewhere { region: "eu-west-1" },
            "the bucket is in another region (301): set AWS_REGION to eu-west-1".to_owned(),
        ),
        (
            Fault::Refuse { status: 503, code: "SlowDown" },
            "the server answered 503 SlowDown, 3 times".to_owned(),
        ),
    ] {
        for (pattern, path) in [("s3://bucket/root.tar", "/bucket/root.tar"), ("s3://bucket/", "/bucket")] {
            // A HEAD that fails with 5xx is not explained by its body.
            let expected = match fault {
                Fault::Refuse { status: 503, .. } if path != "/bucket" => expected.replace(" SlowDown", ""),
                _ => expected.clone(),
            };
            server.fail(path, usize::MAX, fault.clone());
            assert_eq!(text(remote.list(pattern).wait(), &server), format!("{pattern}: {expected}"));
        }
    }
}

#[test]
fn without_credentials_the_environment_is_named() {
    let server = bucket();
    let mut options = options(&server);
    options.settings = [("AWS_ENDPOINT_URL", server.url()), ("AWS_METADATA_ENDPOINT", server.url())]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
    let error = text(Remote::new(options).list("s3://bucket/root.tar").wait(), &server);
    assert_eq!(
        error,
        "s3://bucket/root.tar: no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
         or AWS_SKIP_SIGNATURE=true for a public bucket"
    );
}

#[test]
fn settings_show_their_names_alone() {
    let server = Server::start();
    let shown = format!("{:?}", options(&server));
    assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("HIDDEN"), "{shown}");
}
