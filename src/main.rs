//! The `simsiam` command.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use simsiam::cli::{Cli, Command, TrainArgs, hints};
use simsiam::commands;
use simsiam::console::Console;
use simsiam::error::INTERRUPTED;
use simsiam::study::StudyOutcome;
use simsiam::train::Outcome;
use simsiam::world::{Launch, World};

fn main() -> ExitCode {
    simsiam::process::keep_freed_memory();
    let cli = hints::parse().unwrap_or_else(|error| {
        Launch::detected().iter().for_each(Launch::let_first_speak);
        error.exit()
    });
    let launch = cli.world.launch();
    let console = cli.log.console(launch.as_ref());
    console.log().and_then(|()| run(&cli, &console, launch.as_ref())).unwrap_or_else(|error| {
        launch.iter().for_each(Launch::let_first_speak);
        console.failed(&error)
    })
}

fn run(cli: &Cli, console: &Console, launch: Option<&Launch>) -> Result<ExitCode> {
    simsiam::instructions::limit_from_environment()?;
    simsiam::interrupt::survive_file_size_limit()?;
    if let Some(launch) = launch {
        launch.check(&cli.command)?;
    }
    match &cli.command {
        Command::Train(args) if args.dry_run => {
            commands::train::dry_run(args, console).map(|()| ExitCode::SUCCESS)
        }
        Command::Train(args) if args.show_config => {
            commands::train::show_config(args, console).map(|()| ExitCode::SUCCESS)
        }
        Command::Train(args) => {
            let world = World::join(launch, Duration::from_secs(args.rank_timeout), console)?;
            Ok(world.to_the_end(console, || train(args, console, &world)))
        }
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

fn train(args: &TrainArgs, console: &Console, world: &World) -> Result<ExitCode> {
    Ok(match commands::train::run(args, console, world)? {
        Outcome::Finished(_) | Outcome::StoppedEarly(..) => ExitCode::SUCCESS,
        Outcome::Interrupted(_) => INTERRUPTED.into(),
        Outcome::Collapsed(_) => ExitCode::FAILURE,
    })
}
