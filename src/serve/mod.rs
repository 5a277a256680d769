//! `simsiam serve` and `train --serve`: the [report](crate::report)'s page, live, and metrics for Prometheus.
//!
//! - `address`: where the server listens; `access`: who may read.
//! - `watch`: the runs in a folder, read again when their files change.
//! - `routes`: the three pages; `prometheus`: one of them.
//!
//! The server only reads, and only when it is asked: between requests its thread sleeps. Names in a request are looked up in
//! the list of runs and are never used as paths.

mod access;
mod address;
mod prometheus;
mod routes;
mod watch;

pub use self::access::TOKEN_VARIABLE;
pub use self::address::Address;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, Result};
use tokio::sync::oneshot;

use self::access::Access;
use self::watch::Watch;
use crate::error::InputError;

/// A port that is taken, on which nobody is answered yet.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

/// A server on a thread of its own; dropping it stops it.
pub struct Server {
    address: SocketAddr,
    token: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Takes the port.
    ///
    /// # Errors
    /// If the address is no loopback address and there is no token in [`TOKEN_VARIABLE`], or the port cannot be had.
    pub fn bind(address: Address) -> Result<Self> {
        let Address(address) = address;
        let access = Access::from_environment(address.ip())?;
        let taken = |error: io::Error| InputError::new(format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).map_err(taken)?;
        listener.set_nonblocking(true)?;
        Ok(Self { address: listener.local_addr()?, listener, access })
    }

    /// Answers with the runs in `root` and below, or the run `root` itself.
    ///
    /// # Errors
    /// If `root` cannot be found, or the thread cannot be started.
    pub fn start(self, root: &Path) -> Result<Server> {
        let Self { listener, address, access } = self;
        let watch = Watch::new(root)?;
        let token = access.token().map(str::to_owned);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("the server's runtime")?;
        let serve = move || {
            runtime.block_on(async {
                let served = async {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    axum::serve(listener, routes::router(watch, access)).await
                };
                tokio::select! {
                    ended = served => if let Err(error) = ended { tracing::error!("the server has ended: {error}"); },
                    _ = stopped => {}
                }
            });
        };
        let thread = Builder::new().name("serve".into()).spawn(serve).context("the server's thread")?;
        Ok(Server { address, token, stop: Some(stop), thread: Some(thread) })
    }
}

impl Server {
    /// What to open in a browser.
    pub fn url(&self) -> String {
        let token = self.token.as_ref().map_or_else(String::new, |token| format!("?token={token}"));
        format!("http://{}/{token}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of the server has been printed, and is no reason for training to fail.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
