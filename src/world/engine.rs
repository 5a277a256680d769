//! MPI, in a program that was built with it.

#[cfg(feature = "mpi")]
pub(super) use simsiam_model::collective::mpi::Mpi as Engine;

#[cfg(not(feature = "mpi"))]
pub(super) use self::none::Engine;

use std::time::Duration;

use anyhow::Result;

use super::Launch;
use crate::console::Console;

#[cfg(feature = "mpi")]
pub(super) fn start(_: &Launch, silence: Duration, console: &Console) -> Result<Engine> {
    use anyhow::anyhow;
    use simsiam_model::collective::mpi::Trouble;

    let console = console.clone();
    let tell = move |trouble: &Trouble| match trouble {
        Trouble::Late { .. } => tracing::warn!("{trouble}"),
        Trouble::Silent { .. } | Trouble::Failed { .. } => console.error(&anyhow!("{trouble}")),
    };
    Ok(Engine::start(silence, tell)?)
}

#[cfg(not(feature = "mpi"))]
pub(super) fn start(launch: &Launch, _: Duration, _: &Console) -> Result<Engine> {
    Err(launch.needs_feature().into())
}

#[cfg(not(feature = "mpi"))]
mod none {
    use simsiam_model::collective::{Collective, Exchange};

    /// There is none.
    #[derive(Debug)]
    pub(in crate::world) enum Engine {}

    impl Engine {
        pub(in crate::world) fn hosts(&self) -> &[String] {
            match *self {}
        }

        pub(in crate::world) fn end_all(&self, _: u8) -> ! {
            match *self {}
        }

        pub(in crate::world) fn finish(&self) {
            match *self {}
        }
    }

    impl Collective for Engine {
        fn rank(&self) -> usize {
            match *self {}
        }

        fn size(&self) -> usize {
            match *self {}
        }

        fn all_gather(&self, _: &[u8], _: &mut [u8]) {
            match *self {}
        }

        fn begin_all_reduce(&self, _: Vec<f32>) -> Box<dyn Exchange> {
            match *self {}
        }
    }
}
