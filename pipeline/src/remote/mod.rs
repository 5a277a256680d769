//! Objects in buckets and on web servers: `s3://`, `gs://`, `az://`, `http://` and `https://`.
//!
//! ```text
//! pattern -> list -> RemoteObject -> fetch -> a file in the cache
//!                                 -> read  -> a few of its bytes
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `location`, `object` | [`Location`]: a URL that displays without secrets; [`RemoteObject`]: an object of known length and version |
//! | `list`, `download` | patterns to objects; objects to bytes |
//! | `retry` | retries within limits |
//! | `clients`, `cloud`, `wire` | a client per bucket, and the meaning of servers' responses |
//! | `task` | [`Task`]: background work, to await or to block on |
//!
//! A runtime of two threads does all work; it starts with the first task. Connections, single reads and the number of
//! attempts have limits.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use self::clients::Settings;
pub(crate) use self::error::{Cause, RemoteError};
pub(crate) use self::location::{Location, is_remote};
pub(crate) use self::object::RemoteObject;
pub(crate) use self::task::Task;

use self::clients::Clients;
use self::retry::Retry;
use crate::cache::{Cache, Held};

mod clients;
mod cloud;
mod download;
mod error;
mod list;
mod location;
mod object;
mod retry;
mod task;
#[cfg(test)]
mod tests;
mod wire;

/// Limits and credentials.
#[derive(Clone, Debug)]
pub(crate) struct RemoteOptions {
    /// Requests at a time, over all tasks.
    pub(crate) connections: usize,
    /// How long a server may send nothing.
    pub(crate) timeout: Duration,
    /// How often a request is sent again when its failure may pass.
    pub(crate) retries: u32,
    /// Before the first retry; each further one waits twice as long.
    pub(crate) first_pause: Duration,
    /// Endpoints and credentials.
    pub(crate) settings: Settings,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            timeout: Duration::from_secs(30),
            retries: 5,
            first_pause: Duration::from_millis(250),
            settings: Settings::from_env(),
        }
    }
}

/// Lists and fetches objects. What is under way stops when it is dropped.
pub(crate) struct Remote {
    connection: Arc<Connection>,
    runtime: OnceLock<io::Result<Runtime>>,
}

/// What all tasks share.
struct Connection {
    clients: Clients,
    retry: Retry,
    timeout: Duration,
    slots: Semaphore,
}

impl Remote {
    /// Nothing is started yet.
    pub(crate) fn new(options: RemoteOptions) -> Remote {
        let RemoteOptions { connections, timeout, retries, first_pause, settings } = options;
        let connection = Connection {
            clients: Clients::new(settings, timeout),
            retry: Retry { retries, first_pause },
            timeout,
            slots: Semaphore::new(connections),
        };
        Remote { connection: Arc::new(connection), runtime: OnceLock::new() }
    }

    /// The objects that `pattern` names, sorted, each once: one object; all `.tar`, `.zip` and `.parquet` objects directly below
    /// a prefix that ends in a slash; or those of them that match a pattern with wildcards in its last part. Braces
    /// stand for many patterns. Web servers have single objects only.
    pub(crate) fn list(&self, pattern: &str) -> Task<Vec<RemoteObject>> {
        let pattern = pattern.to_owned();
        self.start(location::shown(&pattern), async move |connection| connection.list(&pattern).await)
    }

    /// The object whose name is that of `object` with `end` behind it: what is stored about it.
    pub(crate) fn beside(&self, object: &RemoteObject, end: &str) -> Task<RemoteObject> {
        let (_, name) = object.at.split_name();
        self.in_folder_of(object, &format!("{name}{end}"))
    }

    /// The object of this name in the folder of another.
    pub(crate) fn in_folder_of(&self, object: &RemoteObject, name: &str) -> Task<RemoteObject> {
        let at = object.at.with_name(name);
        self.start(at.to_string(), async move |connection| connection.object(at).await)
    }

    /// The bytes of `range`, which is not empty, for small reads.
    pub(crate) fn read(&self, object: &RemoteObject, range: Range<u64>) -> Task<Bytes> {
        let object = object.clone();
        self.start(object.at.to_string(), async move |connection| connection.read(&object, range).await)
    }

    /// The whole object as a file in `cache`. Starts at once: a task that is not awaited yet fetches ahead.
    pub(crate) fn fetch(&self, object: &RemoteObject, cache: &Cache) -> Task<Held> {
        let (object, cache) = (object.clone(), cache.clone());
        self.start(object.at.to_string(), async move |connection| connection.fetch(&object, &cache).await)
    }

    /// Runs `work` in the background. The one place where something is spawned.
    fn start<T, F>(&self, about: String, work: impl FnOnce(Arc<Connection>) -> F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RemoteError>> + Send + 'static,
    {
        let (sender, receiver) = async_channel::bounded(1);
        let abort = match self.runtime.get_or_init(start_runtime) {
            Ok(runtime) => {
                let work = work(self.connection.clone());
                let task = runtime.spawn(async move {
                    // Nobody receives it when the task was dropped meanwhile.
                    let _ = sender.send(work.await).await;
                });
                Some(task.abort_handle())
            }
            Err(error) => {
                let failed = Cause::NoThreads(error.to_string()).once(&about);
                let _ = sender.try_send(Err(failed));
                None
            }
        };
        Task::new(about, receiver, abort)
    }
}

fn start_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).thread_name("remote").enable_all().build()
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Not by its own `drop`, which waits for its threads, and may not do so in async code.
        if let Some(Ok(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Connection {
    /// The right to one request.
    async fn slot(&self) -> SemaphorePermit<'_> {
        self.slots.acquire().await.expect("the semaphore is never closed")
    }
}
