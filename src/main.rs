//! The `simsiam` command.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use simsiam::cli::{Cli, Command};
use simsiam::commands;
use simsiam::console::Console;
use simsiam::error::{INTERRUPTED, exit_code};
use simsiam::study::StudyOutcome;
use simsiam::train::Outcome;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    simsiam::process::keep_freed_memory();
    let cli = Cli::parse();
    let console = Console::new();
    // SIMSIAM_LOG=info or debug says more.
    let level =
        std::env::var("SIMSIAM_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::WARN);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .without_time()
        .with_writer(console.log_writer())
        .init();
    match run(&cli, &console) {
        Ok(code) => code,
        Err(error) => {
            // `eprintln` would panic where nobody listens any more.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            exit_code(&error).into()
        }
    }
}

fn run(cli: &Cli, console: &Console) -> Result<ExitCode> {
    simsiam::instructions::limit_from_environment()?;
    match &cli.command {
        Command::Train(args) => Ok(match commands::train::run(args, console)? {
            Outcome::Finished(_) => ExitCode::SUCCESS,
            Outcome::Interrupted(_) => INTERRUPTED.into(),
            Outcome::Collapsed(_) => ExitCode::FAILURE,
        }),
        Command::Study(args) => Ok(match commands::study::run(args, console)? {
            StudyOutcome::Finished => ExitCode::SUCCESS,
            StudyOutcome::Interrupted => INTERRUPTED.into(),
        }),
        Command::Eval(args) => commands::eval::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Embed(args) => commands::embed::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => commands::export::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Import(args) => commands::import::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Pack(args) => commands::pack::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => {
            let all_good = commands::inspect::run(args, console)?;
            Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Doctor(args) => {
            let agrees = commands::doctor::run(args, console)?;
            Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Bench(args) => commands::bench::run(args).map(|()| ExitCode::SUCCESS),
    }
}
