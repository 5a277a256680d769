//! Flags of other programs: an unknown flag that is known elsewhere is answered with this program's own, where the parser
//! would guess by the letters.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error, Parser};

use super::Cli;

/// Parses the command line.
///
/// # Errors
/// What is wrong, to be printed; or the help, where that was asked for.
pub fn parse() -> Result<Cli, Error> {
    Cli::try_parse().map_err(told)
}

/// What other programs call it, and what it is here. The first hint whose flag the subcommand has is given.
const HINTS: [(&[&str], &str, &str); 24] = [
    (&["lr", "learning-rate", "max-lr", "blr"], "base-lr", "the learning rate at a batch of 256"),
    (&["lr", "learning-rate"], "probe-lr", "the probe's learning rate at a batch of 256"),
    (
        &["image-size", "img-size", "input-size", "size", "resolution", "crop-size", "resize"],
        "size",
        "height and width of the views, one that --arch is compiled for",
    ),
    (&["image-size", "img-size", "size", "resize"], "max-side", "scales images down"),
    (
        &[
            "data",
            "data-dir",
            "data-path",
            "dataset",
            "data-root",
            "train",
            "train-dir",
            "train-data",
            "input",
        ],
        "shards",
        "folders of images, tars, zips or Parquet files",
    ),
    (&["data", "data-dir", "data-path", "dataset", "shards"], "train-shards", "what is learned from"),
    (
        &["val", "val-dir", "val-data", "valid", "validation", "test", "test-shards"],
        "val-shards",
        "what is classified",
    ),
    (&["bs", "batch", "batchsize", "per-device-train-batch-size", "b"], "batch-size", "images a step"),
    (
        &[
            "gradient-accumulation-steps",
            "accumulate-grad-batches",
            "grad-accum",
            "accum-iter",
            "accumulation",
        ],
        "accumulate",
        "batches whose gradients are averaged for one update",
    ),
    (&["opt", "optim"], "optimizer", "sgd, lars or adamw"),
    (&["patience", "early-stop", "early-stopping"], "stop-when", "`--stop-when 'stale 10'`"),
    (&["num-workers", "threads", "n-workers", "jobs", "j"], "workers", "decoding threads"),
    (&["wd", "weight-decays", "l2"], "weight-decay", "the L2 penalty"),
    (
        &[
            "out",
            "output",
            "output-dir",
            "out-dir",
            "save-dir",
            "log-dir",
            "logdir",
            "checkpoint-dir",
            "exp-dir",
        ],
        "run-dir",
        "where checkpoints and metrics go",
    ),
    (&["output", "o", "output-file", "file"], "out", "the file"),
    (&["model", "backbone", "encoder", "network", "architecture"], "arch", "the encoder"),
    (&["dim", "proj-dim", "feature-dim", "out-dim"], "projector-dim", "channels of the projections"),
    (&["num-epochs", "max-epochs", "n-epochs", "epoch"], "epochs", "passes over the data"),
    (&["epochs", "num-epochs"], "probe-epochs", "the probe's passes over the data"),
    (&["warmup", "warm-up", "warmup-steps"], "warmup-epochs", "epochs of linear warm-up"),
    (&["gpu", "cuda", "gpus", "use-cuda"], "device", "`--device cuda` trains on a GPU"),
    (&["amp", "fp16", "bf16", "half", "mixed-precision", "dtype"], "precision", "`--precision bf16`"),
    (&["ckpt", "load", "from-checkpoint", "checkpoint", "continue"], "resume", "goes on with a run"),
    (&["tau", "t"], "temperature", "of the loss's softmax"),
];

/// The error as one line, where it is about a value, or about a flag that the table has.
fn told(error: Error) -> Error {
    let text = match error.kind() {
        ErrorKind::ValueValidation => refused_value(&error),
        ErrorKind::UnknownArgument => {
            let cli = Cli::command();
            let arguments = std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok());
            // Flags of every command can stand before it.
            let command = arguments.into_iter().find(|argument| cli.find_subcommand(argument).is_some());
            unknown_flag(&cli, &command.unwrap_or_default(), &error)
        }
        _ => None,
    };
    text.map_or_else(|| without_far_guess(error), |(kind, text)| Error::raw(kind, format!("{text}\n")))
}

/// Leaves out the parser's guess at a flag, and the usage that it makes of it, unless only letters were mistyped.
fn without_far_guess(mut error: Error) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(flag)) => Some(flag.trim_start_matches('-').to_owned()),
        _ => None,
    };
    let (given, guess) = (text(ContextKind::InvalidArg), text(ContextKind::SuggestedArg));
    if given.zip(guess).is_some_and(|(given, guess)| distance(&given, &guess) > 2) {
        for kind in [ContextKind::SuggestedArg, ContextKind::Usage] {
            error.remove(kind);
        }
    }
    error
}

/// Letters to change, add or leave out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in b.bytes().enumerate() {
            let least = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], least);
        }
    }
    row[b.len()]
}

/// `--epochs x: must be a whole number, at least 1`.
fn refused_value(error: &Error) -> Option<(ErrorKind, String)> {
    let [ContextValue::String(flag), ContextValue::String(value)] =
        [error.get(ContextKind::InvalidArg)?, error.get(ContextKind::InvalidValue)?]
    else {
        return None;
    };
    let flag = flag.split(' ').next().filter(|flag| flag.starts_with('-'));
    let place = flag.map_or_else(|| value.clone(), |flag| format!("{flag} {value}"));
    Some((error.kind(), format!("{place}: {}", std::error::Error::source(error)?)))
}

fn unknown_flag(cli: &Command, command: &str, error: &Error) -> Option<(ErrorKind, String)> {
    let ContextValue::String(unknown) = error.get(ContextKind::InvalidArg)? else { return None };
    let hint = hint(cli, command, unknown)?;
    Some((error.kind(), format!("{unknown}: no such flag; {hint}")))
}

fn hint(cli: &Command, command: &str, unknown: &str) -> Option<String> {
    let flags = cli.find_subcommand(command)?;
    let name = unknown.trim_start_matches('-').to_ascii_lowercase().replace('_', "-");
    let has = |flag: &str| flags.get_arguments().any(|argument| argument.get_long() == Some(flag));
    // The flag itself with another dash or case.
    if has(&name) {
        return Some(format!("it is --{name}"));
    }
    let (_, flag, what) =
        HINTS.iter().find(|(names, flag, _)| names.contains(&name.as_str()) && has(flag))?;
    Some(format!("here it is --{flag}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from(arguments).unwrap_err();
        let text = unknown_flag(&Cli::command(), arguments[1], &error).or_else(|| refused_value(&error));
        text.map(|(_, text)| text).unwrap_or_default()
    }

    #[test]
    fn flags_of_other_programs_have_a_hint_of_what_they_are_here() {
        for (arguments, expected) in [
            (
                &["simsiam", "train", "--lr", "0.1"][..],
                "--lr: no such flag; here it is --base-lr: the learning rate at a batch of 256",
            ),
            (&["simsiam", "train", "--batch_size=8"], "--batch_size: no such flag; it is --batch-size"),
            (
                &["simsiam", "train", "--num-workers", "8"],
                "--num-workers: no such flag; here it is --workers: decoding threads",
            ),
            (
                &["simsiam", "eval", "RUN", "--lr", "3"],
                "--lr: no such flag; here it is --probe-lr: the probe's learning rate at a batch of 256",
            ),
            (
                &["simsiam", "embed", "RUN", "--data-dir", "x"],
                "--data-dir: no such flag; here it is --shards: folders of images, tars, zips or Parquet files",
            ),
        ] {
            assert_eq!(message(arguments), expected, "{arguments:?}");
        }
        assert!(message(&["simsiam", "train", "--image-size", "64"]).contains("here it is --size: height"));
        assert_eq!(message(&["simsiam", "train", "--frobnicate"]), "");
    }

    #[test]
    fn the_parsers_guess_is_kept_for_mistyped_letters_alone() {
        assert_eq!(
            [("", "ab"), ("epcohs", "epochs"), ("wrkers", "workers")].map(|(a, b)| distance(a, b)),
            [2, 2, 1]
        );
        let guess = |arguments: &[&str]| {
            let error = without_far_guess(Cli::try_parse_from(arguments).unwrap_err());
            error.get(ContextKind::SuggestedArg).map(ToString::to_string)
        };
        assert_eq!(guess(&["simsiam", "train", "--epochz", "3"]), Some("--epochs".into()));
        assert_eq!(guess(&["simsiam", "embed", "RUN", "--out", "x.npy", "--val-shards", "x"]), None);
    }

    #[test]
    fn a_refused_value_is_one_line() {
        for (arguments, expected) in [
            (&["simsiam", "train", "--epochs", "-1"][..], "--epochs -1: must be at least 1"),
            (&["simsiam", "train", "--base-lr", "x"], "--base-lr x: must be a number"),
            (
                &["simsiam", "pack", "a", "b", "--quality", "0"],
                "--quality 0: must be a whole number from 1 to 100",
            ),
            (
                &["simsiam", "eval", "RUN", "--checkpoint", "last"],
                "--checkpoint last: `last` is neither `newest`, `best`, `untrained` nor a step's number",
            ),
        ] {
            assert_eq!(message(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn every_hint_is_of_a_flag_that_there_is() {
        let cli = Cli::command();
        for (_, flag, _) in HINTS {
            let has =
                |command: &Command| command.get_arguments().any(|argument| argument.get_long() == Some(flag));
            assert!(cli.get_subcommands().any(has), "--{flag}");
        }
    }
}
