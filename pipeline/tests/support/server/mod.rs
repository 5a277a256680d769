//! A server on the loopback interface that plays a web server and an S3 of path style, and misbehaves when told so.
//!
//! Objects are kept under `/bucket/key`: an S3 client finds them there, and so does a web client. Requests are counted.
//! Included by `#[path]` where a test needs it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use self::answer::{Answer, Object, Objects};
use self::request::Request;

mod answer;
mod request;

/// How often a connection that waits looks whether the server is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What goes wrong with an answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A status, and the reason in S3's words.
    Refuse { status: u16, code: &'static str },
    /// As S3 answers when the bucket is in this region.
    Elsewhere { region: &'static str },
    /// HEAD is refused, as with a URL that is signed for GET.
    NoHead,
    /// All of the object comes, whatever part was asked for.
    NoRanges,
    /// The connection is closed after so many bytes of the body.
    CutAfter(usize),
    /// Nothing comes after so many bytes of the body, and the connection stays open.
    StallAfter(usize),
    /// The body comes byte by byte, and slowly.
    Drip,
    /// Not even a status comes.
    Silence,
    /// Each answer is of another version.
    NewVersions,
    /// Parts are said to be of an object that is longer by so many bytes.
    Longer(u64),
}

/// The server; it stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    objects: Mutex<Objects>,
    /// By path, with how many answers are still to go wrong.
    faults: Mutex<BTreeMap<String, (usize, Fault)>>,
    log: Mutex<Vec<String>>,
    authorization: Mutex<Option<String>>,
    is_over: AtomicBool,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let shared = state.clone();
        let accept = move || {
            for stream in listener.incoming() {
                if shared.is_over.load(Ordering::Relaxed) {
                    break;
                }
                let (stream, state) = (stream.unwrap(), shared.clone());
                // A client that goes away in the middle of an answer does no harm.
                let serve = move || drop(serve(&stream, &state));
                thread::Builder::new().name("test connection".into()).spawn(serve).unwrap();
            }
        };
        thread::Builder::new().name("test server".into()).spawn(accept).unwrap();
        Server { address, state }
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keeps an object under `/bucket/key`.
    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.state.objects.lock().unwrap().insert(path.to_owned(), Object::new(bytes));
    }

    /// Makes the next `times` answers about `path` go wrong.
    pub(crate) fn fail(&self, path: &str, times: usize, fault: Fault) {
        self.state.faults.lock().unwrap().insert(path.to_owned(), (times, fault));
    }

    /// The requests so far, such as `GET /bucket/key 0-99`, with the range if there was one.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.log.lock().unwrap().clone()
    }

    /// The last request's credentials.
    pub(crate) fn authorization(&self) -> Option<String> {
        self.state.authorization.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        // The listener waits for one more.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK_AGAIN))?;
    let mut reader = BufReader::new(stream);
    loop {
        while let Err(error) = reader.fill_buf() {
            let is_quiet = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
            if !is_quiet || state.is_over.load(Ordering::Relaxed) {
                return Err(error);
            }
        }
        let Some(request) = Request::read(&mut reader)? else { return Ok(()) };
        state.log.lock().unwrap().push(request.line());
        *state.authorization.lock().unwrap() = request.headers.get("authorization").cloned();
        let fault = state.next_fault(&request.path);
        let answer = Answer::to(&request, &state.objects.lock().unwrap(), fault.as_ref());
        let body: &[u8] = if request.method == "HEAD" { &[] } else { answer.body() };
        let mut stream = stream;
        if matches!(fault, Some(Fault::Silence)) {
            return state.wait();
        }
        stream.write_all(answer.head().as_bytes())?;
        match fault {
            Some(Fault::CutAfter(bytes)) => return stream.write_all(&body[..bytes.min(body.len())]),
            Some(Fault::StallAfter(bytes)) => {
                stream.write_all(&body[..bytes.min(body.len())])?;
                return state.wait();
            }
            Some(Fault::Drip) => {
                for byte in body {
                    stream.write_all(&[*byte])?;
                    thread::sleep(LOOK_AGAIN);
                }
            }
            _ => stream.write_all(body)?,
        }
    }
}

impl State {
    /// Keeps a connection open until the end.
    fn wait(&self) -> io::Result<()> {
        while !self.is_over.load(Ordering::Relaxed) {
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Uses up one of the path's faults.
    fn next_fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let (times, fault) = faults.get_mut(path)?;
        *times = times.checked_sub(1)?;
        Some(fault.clone())
    }
}
