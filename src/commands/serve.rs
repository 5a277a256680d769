//! `simsiam serve`: runs as a live page.

use std::time::Duration;

use anyhow::Result;

use crate::cli::ServeArgs;
use crate::console::{Console, counted};
use crate::interrupt::Interrupt;
use crate::runs::find;
use crate::serve::Listener;

/// Serves until the user or the system asks it to stop.
///
/// # Errors
/// If there is no such folder, the address cannot be used (exit code 2), or the server cannot be started.
pub fn run(args: &ServeArgs, console: &Console) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let runs = find(&args.dir)?.len();
    let server = Listener::bind(args.address)?.start(&args.dir)?;
    let (dir, url) = (args.dir.display(), server.url());
    console.result(format!("{} in {dir}, live at {url} (Ctrl-C ends it)", counted(runs as u64, "run")))?;
    while !interrupt.is_set() {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
