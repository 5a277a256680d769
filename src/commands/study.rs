//! `simsiam study`: the paper's tables in small.

use anyhow::Result;

use crate::cli::StudyArgs;
use crate::config::Overrides;
use crate::console::Console;
use crate::error::InputError;
use crate::study::{self, StudyOutcome};

/// Runs what is missing of a study.
///
/// # Errors
/// If the input cannot work (exit code 2), or a run fails.
pub fn run(args: &StudyArgs, console: &Console) -> Result<StudyOutcome> {
    let common = match &args.config {
        Some(path) => args.overrides.clone().over(&Overrides::from_file(path)?)?,
        None => args.overrides.clone(),
    };
    if common.shards.is_none() {
        return Err(InputError::new("no shards to study on: --shards names them").into());
    }
    study::run(args.study, &common, &args.out, console)
}
