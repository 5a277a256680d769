//! `simsiam study`: the paper's tables in small.

use anyhow::Result;

use crate::cli::StudyArgs;
use crate::commands::{demo_shards, train};
use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::study::{self, Choice, StudyOutcome};

/// Runs what is missing of a study.
///
/// # Errors
/// If the input cannot work (exit code 2), or a run fails.
pub fn run(args: &StudyArgs, console: &Console) -> Result<StudyOutcome> {
    let interrupt = Interrupt::listen()?;
    let mut common = args.overrides.clone().over_file(args.config.as_deref())?;
    let choice = Choice { study: args.study, only: args.only.clone(), seeds: args.seeds };
    choice.check(&common)?;
    if common.shards.as_ref().is_none_or(Vec::is_empty) {
        common = demo_shards::in_place_of_none(common, &interrupt, console)?;
    }
    let common = train::with_preset(common, console)?;
    study::run(&choice, &common, &args.out, &interrupt, console)
}
