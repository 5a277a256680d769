//! The documentation's commands and configurations: each parses, and the commands that small data allow run, on drawn images under
//! the pages' own names.

mod commands;
#[cfg(unix)]
mod place;

use clap::Parser;
use clap::error::ErrorKind;
use simsiam::cli::{Cli, Command};
use simsiam::config::TrainConfig;

use self::commands::{Documented, commands, configurations, flags, known_flags, pages};
#[cfg(unix)]
use crate::fixture::{simsiam, text};

/// Words that the reader replaces, where the parser wants one of a few.
const PLACEHOLDERS: [(&str, &str); 4] =
    [("COMMAND", "train"), ("METHOD", "byol"), ("N", "1"), ("views.toml", "swav")];

/// Flags of cargo, mpirun and srun that the pages name.
const FLAGS_OF_OTHERS: [&str; 7] = [
    "--allow-run-as-root",
    "--bind-to",
    "--features",
    "--kill-on-bad-exit",
    "--map-by",
    "--mca",
    "--oversubscribe",
];

/// Parts of lines whose commands are not run, and why.
#[cfg(unix)]
const NOT_RUN: [(&str, &str); 10] = [
    ("cargo run -- train ", "draws the whole demo"),
    ("mpirun ", "several processes: see distributed.rs"),
    ("s3://", "a bucket: see sources/remote.rs"),
    ("https://", "a web server: see sources/remote.rs"),
    (".parquet", "the writer of Parquet files is in pipeline/tests/shards"),
    ("serve", "does not end, or takes a port that may be in use: see serve.rs"),
    ("doctor", "compares a GPU with the CPU: see device.rs"),
    ("--device cuda", "wants a GPU: see device.rs"),
    ("study ", "trains many times: see methods.rs"),
    ("--step 4120", "wants a run of that many steps: see preview.rs"),
];

/// Parts of commands, and flags that make these small. The first row that fits counts.
#[cfg(unix)]
const SMALL: [(&str, &str); 7] = [
    ("bench ", "--seconds 0.3"),
    ("finetune ", "--epochs 1 --seeds 1"),
    ("train --resume", "--epochs 2"),
    ("stale 10", "--epochs 11 --limit 8 --batch-size 4 --arch resnet8"),
    ("--accumulate", "--epochs 1 --batch-size 4 --arch resnet8"),
    ("train --stop-gradient", "--epochs 1 --limit 24 --batch-size 4 --shards photos"),
    ("train ", "--epochs 1 --limit 24 --batch-size 4 --arch resnet8 --size 32"),
];

#[test]
fn every_command_parses() {
    let commands: Vec<_> = pages().iter().flat_map(|page| commands(page)).collect();
    let wrong: Vec<_> = commands.iter().filter_map(refusal).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(commands.len() > 100, "only {} commands were found", commands.len());
}

/// Why the command line does not parse.
fn refusal(command: &Documented) -> Option<String> {
    let error = Cli::try_parse_from([&["simsiam".to_owned()][..], &filled_in(command)].concat()).err()?;
    let is_fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        // A sentence may name a command without what it needs.
        ErrorKind::MissingRequiredArgument => !command.is_complete,
        _ => false,
    };
    (!is_fine).then(|| format!("{}: {}\n{error}", command.place, command.line))
}

fn filled_in(command: &Documented) -> Vec<String> {
    let value = |word: &String| PLACEHOLDERS.iter().find(|(name, _)| name == word).map(|(_, value)| *value);
    command.words.iter().map(|word| value(word).unwrap_or(word).to_owned()).collect()
}

#[test]
fn every_flag_exists() {
    let known = known_flags();
    let named = pages().iter().flat_map(|page| flags(page)).collect::<Vec<_>>();
    let exists = |flag: &str| known.contains(flag) || FLAGS_OF_OTHERS.contains(&flag);
    let wrong: Vec<_> = named.iter().filter(|(_, flag)| !exists(flag)).collect();
    assert!(wrong.is_empty(), "there is no such flag: {wrong:#?}");
}

#[test]
fn every_configuration_is_one_that_training_takes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.toml");
    let file = path.to_str().unwrap();
    // As a configuration, one for a method with views of several sizes, or a recipe alone.
    let uses = [
        vec!["--config", file],
        vec!["--method", "swav", "--preset", "imagenet", "--config", file],
        vec!["--recipe", file],
    ];
    let resolve = |flags: &Vec<&str>| -> anyhow::Result<TrainConfig> {
        let cli = Cli::try_parse_from(["simsiam", "train"].iter().chain(flags))?;
        let Command::Train(args) = cli.command else { unreachable!("the command is train") };
        Ok(TrainConfig::resolve(&args.overrides.over_file(args.config.as_deref())?)?)
    };
    let mut count = 0;
    let blocks = pages().iter().flat_map(|page| configurations(page)).collect::<Vec<_>>();
    for (place, text) in blocks.iter().filter(|(_, text)| !text.starts_with("[dependencies]")) {
        std::fs::write(&path, text).unwrap();
        let errors: Vec<_> = uses.iter().map_while(|flags| resolve(flags).err()).collect();
        assert!(errors.len() < uses.len(), "{place}: {}", errors[0]);
        count += 1;
    }
    assert!(count > 5, "only {count} blocks were found");
}

#[cfg(unix)]
#[test]
fn every_command_that_small_data_allow_runs() {
    let drawn = place::Drawn::new();
    let mut wrong = Vec::new();
    let mut unused: Vec<_> = NOT_RUN.iter().chain(&SMALL).map(|(part, _)| *part).collect();
    let mut found_in = |text: &str, table: &[(&str, &'static str)]| {
        let (part, value) = table.iter().find(|(part, _)| text.contains(part))?;
        unused.retain(|unused| unused != part);
        Some(*value)
    };
    for page in pages() {
        let commands: Vec<_> = commands(&page).into_iter().filter(|command| command.is_complete).collect();
        let packs = commands.iter().filter(|command| command.words[0] == "pack");
        let made: Vec<_> = packs.map(|pack| pack.words[2].trim_end_matches('/')).collect();
        let place = drawn.place(&made);
        for command in &commands {
            if found_in(&command.line, &NOT_RUN).is_some() {
                continue;
            }
            let words = filled_in(command);
            let more = found_in(&words.join(" "), &SMALL).unwrap_or_default().split_whitespace();
            let mut run = simsiam();
            let output =
                run.args(&words).args(more).current_dir(&place).env("HOME", &place).output().unwrap();
            if !output.status.success() {
                wrong.push(format!("{}: {}\n{}", command.place, command.line, text(&output)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unused.is_empty(), "no command has {unused:?}");
}
