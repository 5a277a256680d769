//! `simsiam inspect --duplicates`: images that are nearly the same, and leaks between training and validation.

use std::path::Path;

use anyhow::Result;
use simsiam_pipeline::shards::OpenOptions;

use crate::cli::InspectArgs;
use crate::console::{Console, counted, thousands};
use crate::data::Source;
use crate::error::InputError;
use crate::files::write_whole;
use crate::inspect::duplicates::origin::Origin;
use crate::inspect::duplicates::{find, sheet};
use crate::interrupt::Interrupt;

/// Prints a report, and draws it if that is asked for; true if every sample could be used.
///
/// # Errors
/// If encoder, features or shards cannot be read, or the picture cannot be written.
pub(super) fn run(args: &InspectArgs, origin: &Path, console: &Console) -> Result<bool> {
    check_name(args.search.contact_sheet.as_deref())?;
    let origin = Origin::open(origin, args.search.val_features.as_deref())?;
    let config = origin.config().with(&args.source.overrides())?;
    let source = Source::open_chosen(&args.shards, &config, &console.open_options())?;
    let val_source = match &args.search.val_shards {
        Some(patterns) => {
            let class_names = source.shards.class_names().map(<[String]>::to_vec);
            let options = OpenOptions { class_names, ..console.open_options() };
            Some(Source::open(patterns, &config, &options)?)
        }
        None => None,
    };
    let interrupt = Interrupt::listen()?;
    let own = origin.own(source, console, &interrupt)?;
    let val = val_source.map(|source| origin.val(source, console, &interrupt)).transpose()?;
    let report = find(&own, val.as_ref(), args.search.threshold, console, &interrupt)?;
    if let Some(path) = &args.search.contact_sheet {
        let sheet = sheet::contact_sheet(&report, args.search.top, &own, val.as_ref());
        write_whole(path, &sheet.to_png()?)?;
    }
    if args.json {
        console.result(serde_json::to_string_pretty(&report)?)?;
    } else {
        console.result(format_args!(
            "features  {}, {} values; similarity from {} on\n{}",
            origin.name(),
            thousands(own.features().dim as u64),
            report.threshold,
            report.describe(args.search.top)
        ))?;
    }
    let sets = [Some(&own), val.as_ref()].into_iter().flatten();
    let bad: u64 = sets.map(|set| set.source.len() - set.samples.len() as u64).sum();
    if bad > 0 {
        tracing::warn!("not compared, because they cannot be used: {}", counted(bad, "sample"));
    }
    Ok(bad == 0)
}

/// Refuses a picture whose name says another format.
fn check_name(sheet: Option<&Path>) -> Result<(), InputError> {
    match sheet {
        Some(path) if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("png")) => {
            Err(InputError::new(format!("--contact-sheet {}: must end in .png", path.display())))
        }
        _ => Ok(()),
    }
}
