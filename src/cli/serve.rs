//! `simsiam serve`.

use std::path::PathBuf;

use clap::Args;

use crate::serve::Address;

/// `simsiam serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder of runs, or a run's folder
    #[arg(default_value = "runs")]
    pub dir: PathBuf,
    /// Address to listen on: HOST:PORT, or a port on 127.0.0.1. Addresses other than loopback require a token in SIMSIAM_TOKEN
    #[arg(long, default_value = Address::DEFAULT)]
    pub address: Address,
}
