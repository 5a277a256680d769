//! `simsiam report`: runs as one page.

use anyhow::Result;

use crate::cli::ReportArgs;
use crate::config::Overrides;
use crate::console::{Console, counted};
use crate::error::InputError;
use crate::files::write_whole;
use crate::gallery::{Gallery, GalleryConfig};
use crate::interrupt::Interrupt;
use crate::record::RunRecord;
use crate::report::{Content, Links, Place, page};
use crate::runs::text::bytes;

/// Writes the page.
///
/// # Errors
/// If a folder is no run's (exit code 2), or a file cannot be read or written.
pub fn run(args: &ReportArgs, console: &Console) -> Result<()> {
    if args.out.extension().is_none_or(|extension| extension != "html") {
        let text = format!("--out {}: must end with .html", args.out.display());
        return Err(InputError::new(text).into());
    }
    let runs = RunRecord::read_all(&args.runs)?;
    for run in &runs {
        run.notes.iter().for_each(|note| tracing::warn!("{}: {note}", run.path.display()));
    }
    let runs: Vec<&RunRecord> = runs.iter().collect();
    let mut content = Content::of(&runs, Links::Anchors)?;
    if let Some(samples) = args.samples {
        content = content.with_samples(&runs, &galleries(&runs, args, samples, console)?)?;
    }
    let page = page(&content, Place::File)?;
    let out = args.out.display();
    write_whole(&args.out, page.as_bytes())?;
    let size = bytes(page.len() as u64);
    console.result(format!("{out}: {}, {size}; open it in a browser", counted(runs.len() as u64, "run")))?;
    Ok(())
}

fn galleries(
    runs: &[&RunRecord],
    args: &ReportArgs,
    samples: usize,
    console: &Console,
) -> Result<Vec<Gallery>> {
    let interrupt = Interrupt::listen()?;
    let (shards, val_shards) = (args.shards.clone(), args.val_shards.clone());
    let shards = Overrides { shards, val_shards, ..Overrides::default() };
    let config = GalleryConfig { samples, step: args.step, shards };
    runs.iter().map(|run| Gallery::of(run, &config, &interrupt, console)).collect()
}
