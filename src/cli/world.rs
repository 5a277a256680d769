//! Flags of every command: processes that were started together.

use clap::Args;

use crate::world::{Launch, WorldChoice};

/// What this process is to the others that were started with it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several processes")]
pub struct WorldArgs {
    /// What processes started together by mpirun or srun do
    #[arg(long, global = true, value_name = "WHICH", default_value = "auto")]
    pub world: WorldChoice,
}

impl WorldArgs {
    /// How this process was started, if that is to matter.
    pub fn launch(&self) -> Option<Launch> {
        Launch::detected().filter(|_| self.world == WorldChoice::Auto)
    }
}
