//! `simsiam serve` and `train --serve`, asked as a browser, Prometheus and an intruder ask them.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::fixture::{Fixture, refused, simsiam};
use crate::report::{ODD_NAME, metrics, three_runs, write_run};

const TOKEN: &str = "a-token-of-many-characters";

/// The program, serving; it is stopped with this value.
pub(crate) struct Serving {
    process: Child,
    /// What it prints; a closed pipe would end it.
    _printed: BufReader<ChildStdout>,
    address: String,
}

impl Serving {
    /// Starts the command and waits until it says where it serves.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(printed.read_line(&mut line).unwrap() > 0, "{command:?} ended");
            if let Some((_, rest)) = line.split_once("live at http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        Self { process, _printed: printed, address }
    }

    pub(crate) fn of(dir: &Path) -> Self {
        Self::start(simsiam().arg("serve").arg(dir).args(["--address", "127.0.0.1:0"]))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The whole answer to a request with one header more.
    fn ask(&self, request: &str, header: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "{request} HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path}"), "Host: localhost")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The next event of a stream.
fn next_event(stream: &mut impl BufRead) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).unwrap();
        }
    }
}

#[test]
fn all_runs_or_one_are_shown_and_nothing_else_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    three_runs(dir.path());
    fs::write(dir.path().join("secret.txt"), "secret").unwrap();
    let serving = Serving::of(dir.path());
    let page = serving.get("/");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("connect-src 'self'"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;!-- &quot;&#39;&amp; 🦀 שלום"));
    assert!(!page.contains("<script>alert(1)") && page.contains("href=\"?run=one\""));
    let page = serving.get("/?run=two");
    assert!(page.contains("<title>two –") && !page.contains("alert(1)"));
    assert!(serving.get("/?run=../..").contains("<title>0 runs –"));
    for path in ["/secret.txt", "/../secret.txt", "/one/config.toml", "/%2e%2e/secret.txt", "//etc/passwd"] {
        let answer = serving.get(path);
        assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("secret"), "{path}: {answer}");
    }
    assert!(serving.ask("POST /", "Host: localhost").starts_with("HTTP/1.1 405"));
    let foreign = serving.ask("GET /", "Host: example.org");
    assert!(foreign.starts_with("HTTP/1.1 403") && !foreign.contains("charts"), "{foreign}");

    let metrics = serving.get("/metrics");
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("simsiam_loss{run=\"one\"} -0.5\n"), "{metrics}");
    let odd = ODD_NAME.replace('"', "\\\"");
    assert!(metrics.contains(&format!("simsiam_healthy{{run=\"{odd}\"}} 0\n")), "{metrics}");
}

#[test]
fn a_page_is_told_when_a_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("one");
    write_run(&run, "epochs = 9\n", &metrics(-0.5, 999));
    let serving = Serving::of(dir.path());
    let mut stream = serving.connect();
    write!(stream, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut stream = BufReader::new(stream);
    let last_step =
        |event: &Value| event["data"]["charts"][0]["lines"][0]["x"].as_array().unwrap().last().cloned();
    let event = next_event(&mut stream);
    assert_eq!(last_step(&event), Some(200.into()));
    assert!(event["parts"]["runs"].as_str().unwrap().contains("<td>stopped at step 200</td>"), "{event}");
    let mut file = OpenOptions::new().append(true).open(run.join("metrics.jsonl")).unwrap();
    writeln!(file, "{{\"step\":210,\"epoch\":2,\"loss\":-0.75,\"health\":\"healthy\"}}").unwrap();
    assert_eq!(last_step(&next_event(&mut stream)), Some(210.into()));
}

#[test]
fn other_machines_need_the_token() {
    let dir = tempfile::tempdir().unwrap();
    three_runs(dir.path());
    let everywhere = |token: &str| {
        let mut command = simsiam();
        command.arg("serve").arg(dir.path()).args(["--address", "0.0.0.0:0"]).env("SIMSIAM_TOKEN", token);
        command
    };
    let printed = refused(&mut everywhere(""));
    assert!(printed.contains("cannot serve on 0.0.0.0 without a token"), "{printed}");
    assert!(
        refused(&mut everywhere("short")).contains("SIMSIAM_TOKEN: must have at least 16 characters, not 5")
    );

    let mut serving = Serving::start(&mut everywhere(TOKEN));
    serving.address = serving.address.replace("0.0.0.0", "127.0.0.1");
    for path in ["/", "/events", "/metrics", "/?token=wrong"] {
        assert!(serving.get(path).starts_with("HTTP/1.1 403"), "{path}");
    }
    let page = serving.get(&format!("/?token={TOKEN}"));
    assert!(page.starts_with("HTTP/1.1 200") && page.contains(&format!("?run=one&amp;token={TOKEN}")));
    let bearer = format!("Host: localhost\r\nAuthorization: Bearer {TOKEN}");
    assert!(serving.ask("GET /metrics", &bearer).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_run_is_shown_while_it_trains() {
    let fixture = Fixture::new();
    let serving = Serving::start(&mut fixture.train("run", &["--epochs", "500", "--serve", "127.0.0.1:0"]));
    let metrics = loop {
        let metrics = serving.get("/metrics");
        if metrics.contains("simsiam_loss{run=\"run\"}") {
            break metrics;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(metrics.contains("simsiam_going{run=\"run\"} 1\n"), "{metrics}");
    assert!(metrics.contains("simsiam_queue_fill_ratio{run=\"run\",queue=\"batches\"}"), "{metrics}");
    let page = serving.get("/");
    assert_eq!(
        (page.matches("<li class=\"stage").count(), page.matches("<li class=\"queue\"").count()),
        (5, 4)
    );
    assert_eq!(page.matches("class=\"stage lit\"").count(), 1);

    let taken = ["--serve", serving.address.as_str()];
    let printed = refused(&mut fixture.train("other", &taken));
    assert!(printed.contains(&format!("cannot listen on {}: ", serving.address)), "{printed}");
    assert!(!fixture.path("other").exists());
}

#[cfg(unix)]
#[test]
fn a_server_ends_when_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut serving = Serving::of(dir.path());
    assert!(serving.get("/").contains("0 runs"));
    let asked = Command::new("kill").arg(serving.process.id().to_string()).status().unwrap();
    assert!(asked.success() && serving.process.wait().unwrap().success());
    let printed = refused(simsiam().arg("serve").arg(dir.path().join("gone")));
    assert!(printed.contains("gone: no such folder"), "{printed}");
}
