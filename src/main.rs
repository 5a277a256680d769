//! The `simsiam` command.

use std::process::ExitCode;

use anyhow::Result;
use simsiam::cli::{Cli, Command, hints};
use simsiam::commands;
use simsiam::console::Console;
use simsiam::error::{CLOSED_PIPE, INTERRUPTED, exit_code};
use simsiam::study::StudyOutcome;
use simsiam::train::Outcome;

fn main() -> ExitCode {
    simsiam::process::keep_freed_memory();
    let cli = hints::parse();
    let console = cli.log.console();
    match console.log().and_then(|()| run(&cli, &console)) {
        Ok(code) => code,
        Err(error) => {
            let code = exit_code(&error);
            if code != CLOSED_PIPE {
                console.error(&error);
            }
            code.into()
        }
    }
}

fn run(cli: &Cli, console: &Console) -> Result<ExitCode> {
    simsiam::instructions::limit_from_environment()?;
    simsiam::interrupt::survive_file_size_limit()?;
    simsiam::instructions::limit_from_environment()?;
    match &cli.command {
        Command::Train(args) if args.dry_run => {
            commands::train::dry_run(args, console).map(|()| ExitCode::SUCCESS)
        }
        Command::Train(args) => Ok(match commands::train::run(args, console)? {
            Outcome::Finished(_) | Outcome::StoppedEarly(..) => ExitCode::SUCCESS,
            Outcome::Interrupted(_) => INTERRUPTED.into(),
            Outcome::Collapsed(_) => ExitCode::FAILURE,
        }),
        Command::Study(args) => Ok(match commands::study::run(args, console)? {
            StudyOutcome::Finished => ExitCode::SUCCESS,
            StudyOutcome::Interrupted => INTERRUPTED.into(),
        }),
        Command::Eval(args) => commands::eval::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Finetune(args) => commands::finetune::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Report(args) => commands::report::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Runs(args) => commands::runs::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Serve(args) => commands::serve::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Embed(args) => commands::embed::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => commands::export::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Import(args) => commands::import::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Preview(args) => commands::preview::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Pack(args) => commands::pack::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Unpack(args) => {
            let all_good = commands::unpack::run(args, console)?;
            Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Inspect(args) => {
            let all_good = commands::inspect::run(args, console)?;
            Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Doctor(args) => {
            let agrees = commands::doctor::run(args, console)?;
            Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Bench(args) => commands::bench::run(args, console).map(|()| ExitCode::SUCCESS),
        Command::Completions(args) => {
            commands::manual::completions(args, console).map(|()| ExitCode::SUCCESS)
        }
        Command::Man(args) => commands::manual::man(args, console).map(|()| ExitCode::SUCCESS),
    }
}
