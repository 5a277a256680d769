//! Flags of every command: how much is told, and how.

use clap::{ArgAction, Args};

use crate::console::{Console, LogFormat, Verbosity};
use crate::world::Launch;

/// How much is told, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Print results, warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log the work behind the progress lines; twice for debugging
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Format of progress and log
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

impl LogArgs {
    /// The console that the flags ask for; of several processes, the first one's speaks.
    pub fn console(&self, launch: Option<&Launch>) -> Console {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Debug,
        };
        let console = Console::new(self.log_format, verbosity);
        match launch.filter(|launch| launch.rank > 0) {
            Some(launch) => console.of_other(launch.name()),
            None => console,
        }
    }
}
