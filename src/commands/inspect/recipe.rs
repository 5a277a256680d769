//! `simsiam inspect --recipe`: the steps of a recipe, and how long each takes.

use anyhow::Result;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::decode::Decoder;

use crate::cli::InspectArgs;
use crate::config::{Overrides, Preset, TrainConfig};
use crate::console::Console;
use crate::error::InputError;
use crate::inspect::recipe::{Decoded, RecipeReport};

/// Images that a recipe is measured on.
const IMAGES: u64 = 64;

/// Prints the report.
///
/// # Errors
/// If the images cannot be opened, none of the first can be decoded, or the recipe contradicts itself.
pub(super) fn run(args: &InspectArgs, changes: &toml::Table, console: &Console) -> Result<()> {
    let shards = ShardSet::open(&args.shards, &args.source.options(console.open_options()))?;
    let chosen = args.source.choice.chosen(&shards)?;
    let preset = args.preset.unwrap_or_else(|| Preset::for_images(&shards));
    let changes = Overrides { recipe: Some(changes.clone()), ..Overrides::default() };
    let recipe = TrainConfig::preset(preset).recipe_with(&changes)?;
    recipe.validate().map_err(|error| InputError::new(error.to_string()))?;
    let mut decoder = Decoder::default();
    let mut decoded = |sample: u64| -> Option<Decoded> {
        let image = decoder.decode(&shards.read(sample).ok()?.bytes).ok()?;
        Some((image.width, image.height, image.pixels.to_vec()))
    };
    let samples = chosen.as_ref().map_or(shards.len(), |chosen| chosen.len());
    let samples = (0..samples.min(IMAGES)).map(|at| chosen.as_ref().map_or(at, |chosen| chosen.get(at)));
    let images: Vec<Decoded> = samples.filter_map(&mut decoded).collect();
    if images.is_empty() {
        return Err(InputError::new("none of the first images can be decoded (`--verify` says why)").into());
    }
    let report = RecipeReport::measure(&recipe, &images);
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    Ok(console.result(text)?)
}
