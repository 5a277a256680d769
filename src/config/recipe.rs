//! What a configuration says of augmentation: another recipe by its name, or changes of the preset's.

use std::fs;

use simsiam_model::arch::Arch;
use simsiam_pipeline::Recipe;

use super::table;
use super::views::listed;
use crate::error::InputError;

/// What a recipe has whatever its steps: a table with all of these and its steps, as that of a run's `config.toml`, is whole.
const ALWAYS: [&str; 3] = ["size", "mean", "std"];

/// The steps that are never left out where they are fields.
const LEAST_FIELDS: [&str; 3] = ["crop", "grayscale_p", "flip_p"];

/// The recipes of other methods.
const NAMES: [&str; 2] = ["byol", "swav"];

/// The recipe of another method, on top of the preset's size and normalisation.
///
/// # Errors
/// If there is none of that name, or the encoder has no size for small crops.
fn named(name: &toml::Value, recipe: &Recipe, arch: Arch) -> Result<Recipe, InputError> {
    match name.as_str() {
        Some("byol") => Ok(recipe.byol()),
        Some("swav") => multi_crop(recipe, arch),
        _ => Err(InputError::new(format!(
            "recipe.preset = {name}: must be \"{}\", or left out",
            NAMES.join("\" or \"")
        ))),
    }
}

/// SwAV's groups at the sizes of the encoder, on top of a recipe's size and normalisation.
///
/// # Errors
/// If the encoder has no size for the small crops.
pub(super) fn multi_crop(recipe: &Recipe, arch: Arch) -> Result<Recipe, InputError> {
    let size = recipe.size;
    let small = arch.small_size(size).ok_or_else(|| {
        InputError::new(format!(
            "multi-crop at {size}: {arch} has no size for the small crops, up to half of that; it is compiled for {}",
            listed(arch.sizes())
        ))
    })?;
    Ok(recipe.swav(small))
}

/// The value of `--recipe`: a name, or a file whose table `recipe`, or all of it, is one.
///
/// # Errors
/// If it is neither, or the file cannot be read or is not TOML.
pub fn recipe_table(value: &str) -> Result<toml::Table, String> {
    if NAMES.contains(&value) {
        return Ok(toml::Table::from_iter([("preset".to_owned(), value.into())]));
    }
    if !value.ends_with(".toml") {
        return Err(format!("expected {}, or the path of a .toml file", NAMES.join(", ")));
    }
    let text = fs::read_to_string(value).map_err(|error| error.to_string())?;
    let mut file: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    Ok(match file.remove("recipe") {
        Some(toml::Value::Table(recipe)) => recipe,
        Some(_) => return Err("its recipe is no table".into()),
        None => file,
    })
}

/// A recipe with some values changed. A table within it is changed value by value too, but for the crop of another kind. A whole recipe
/// takes its place; a list of views takes the place of its steps; `preset` names another to begin from, for the encoder's sizes.
///
/// # Errors
/// If a key or value means nothing, or the encoder has no size for small crops.
pub(super) fn changed(recipe: &Recipe, arch: Arch, mut changes: toml::Table) -> Result<Recipe, InputError> {
    let preset = changes.remove("preset").map(|preset| named(&preset, recipe, arch));
    let recipe = preset.transpose()?.unwrap_or_else(|| recipe.clone());
    let has = |keys: &[&str]| keys.iter().all(|key| changes.contains_key(*key));
    let has_views = changes.contains_key("views");
    let is_whole = has(&ALWAYS) && (has_views || has(&LEAST_FIELDS));
    let mut merged = if is_whole { toml::Table::new() } else { table(&recipe) };
    if has_views {
        Recipe::STEP_FIELDS.iter().for_each(|field| drop(merged.remove(*field)));
    }
    merge(&mut merged, changes);
    merged.try_into().map_err(|error: toml::de::Error| {
        let (text, crops) = (error.to_string(), "random_resized` or `resize_center`");
        // The lines after the first tell in which tables it is.
        let line = text.trim_end().replace('\n', " ");
        let hint = if line.contains(crops) { ", as in crop.random_resized.scale" } else { "" };
        InputError::new(format!("recipe: {line}{hint}"))
    })
}

fn merge(into: &mut toml::Table, changes: toml::Table) {
    for (key, change) in changes {
        match (into.get_mut(&key), change) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new))
                if key != "crop" || old.keys().eq(new.keys()) =>
            {
                merge(old, new);
            }
            (_, change) => drop(into.insert(key, change)),
        }
    }
}

#[cfg(test)]
mod tests {
    use simsiam_pipeline::augment::{Crop, Interpolation, Step};

    use super::*;
    use crate::config::{Preset, TrainConfig};

    fn resolved(text: &str) -> Result<Recipe, String> {
        let overrides = toml::from_str(text).unwrap();
        TrainConfig::resolve(&overrides).map(|config| config.recipe).map_err(|error| error.to_string())
    }

    #[test]
    fn a_saved_configuration_is_read_back_whole_and_a_part_changes_the_presets() {
        let mut config = TrainConfig::preset(Preset::Imagenet);
        (config.recipe.blur, config.recipe.reducing_gap, config.recipe.flip_p) = (None, None, 0.25);
        for recipe in [config.recipe.clone(), config.recipe.byol()] {
            config.recipe = recipe;
            assert_eq!(resolved(&config.to_string()).unwrap(), config.recipe);
        }

        let part = "preset = \"imagenet\"\n[recipe]\nflip_p = 0.25\ncrop.resize_center.resize = 256\n";
        let (found, preset) = (resolved(part).unwrap(), Recipe::imagenet());
        assert_eq!((found.blur, found.reducing_gap, found.flip_p), (preset.blur, preset.reducing_gap, 0.25));
        let interpolation = Interpolation::Bilinear;
        assert_eq!(found.crop, Some(Crop::ResizeCenter { resize: 256, interpolation }));
    }

    #[test]
    fn views_take_the_place_of_the_presets_steps() {
        let text =
            "preset = \"cifar10\"\n[recipe]\nmean = [0.5, 0.5, 0.5]\n[[recipe.views]]\ncount = 2\nsteps = [
            { crop = { random_resized = { scale = [0.3, 1.0], ratio = [0.75, 1.33] } } },
            { solarize = { p = 0.2, threshold = 128 } }, { trivial_augment = {} }]\n";
        let found = resolved(text).unwrap();
        assert_eq!((found.crop, found.color_jitter, found.mean), (None, None, [0.5; 3]));
        assert_eq!(found.std, Recipe::cifar10().std);
        let names: Vec<&str> = found.views[0].steps.iter().map(Step::name).collect();
        assert_eq!(names, ["crop", "solarize", "trivial_augment"]);
    }

    #[test]
    fn byols_recipes_are_chosen_by_name() {
        let found = resolved("preset = \"cifar10\"\n[recipe]\npreset = \"byol\"\n").unwrap();
        assert_eq!(found, Recipe::cifar10().byol());
        let at_64 = resolved("preset = \"cifar10\"\nsize = 64\n[recipe]\npreset = \"byol\"\n").unwrap();
        assert_eq!(at_64, Recipe { size: 64, ..Recipe::cifar10() }.byol());
    }

    #[test]
    fn what_means_nothing_is_named() {
        for (text, expected) in [
            (
                "[recipe]\npreset = \"dino\"\n",
                "recipe.preset = \"dino\": must be \"byol\" or \"swav\", or left out",
            ),
            (
                "[recipe]\nflip_p = 0.5\nviews = [{ steps = [{ crop = { resize_center = { resize = 32 } } }] }]\n",
                "recipe.flip_p: beside `views`: must be a step of the views that it is for",
            ),
            (
                "[recipe]\nviews = [{ count = 3, steps = [{ crop = { resize_center = { resize = 32 } } }] }]\n",
                "recipe.views: 3 views: must be 2, as the method takes",
            ),
        ] {
            assert_eq!(resolved(text).unwrap_err(), expected);
        }
        let unknown =
            resolved("[recipe]\nviews = [{ steps = [{ solarise = { threshold = 3 } }] }]\n").unwrap_err();
        assert!(unknown.contains("unknown variant `solarise`"), "{unknown}");
        let crop = resolved("[recipe]\ncrop = { scale = [0.5, 1.0] }\n").unwrap_err();
        let expected =
            "--recipe: unknown variant `scale`, expected `random_resized` or `resize_center` in `crop`";
        assert_eq!(crop, format!("{expected}, as in crop.random_resized.scale"));
    }
}
