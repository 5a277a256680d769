//! What the command line and a configuration file may change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use simsiam_model::arch::Arch;
use simsiam_pipeline::shards::{Labels, OpenOptions};

use super::recipe::recipe_table;
use super::values::{ByteSize, MethodSettings, folder, labels, number, pattern, whole};
use super::{
    AlternateSteps, BadSamplePolicy, Device, HeadNorm, Method, OnCollapse, Optimizer, Precision, Predictor,
    PredictorLr, Preset, Shuffle, Similarity, StopRule, Symmetry, Target, Workers, checked_table, table,
};
use crate::cli::topics;
use crate::error::InputError;

/// What a flag or a line in the configuration file may set. Flags win over the file, the file over the preset.
#[derive(Clone, Debug, Default, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Images to train on: folders of images, tars, zips, Parquet files, folders of these, globs or brace patterns; without it,
    /// the demo's own. PATH=0.7 OTHER=0.3 mixes sets
    #[arg(long, help_heading = topics::DATA, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    #[serde(default, deserialize_with = "list_or_mixture")]
    pub shards: Option<Vec<String>>,
    /// Labelled images for the kNN monitor [default: a tenth of the training data, at most 10,000, held out]
    #[arg(long, help_heading = topics::DATA, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub val_shards: Option<Vec<String>>,
    /// Source of labels: `folders` (the first below the source), `parents`, `none`, or a CSV or TSV file [default: from the
    /// source itself]
    #[arg(long, help_heading = topics::DATA, value_name = "FROM", value_parser = labels())]
    pub labels: Option<Labels>,
    /// Folder for indexes and copies that cannot be next to their sources [default: the user's cache folder]
    #[arg(long, help_heading = topics::DATA, value_name = "DIR", value_parser = folder())]
    pub cache_dir: Option<PathBuf>,
    /// Maximum size of fetched shards there, such as 200GB [default: 50GiB]
    #[arg(long, help_heading = topics::DATA, value_name = "SIZE")]
    pub cache_size: Option<ByteSize>,
    /// Use only images that satisfy a condition: `label in [3, cat]`, `key like 'a*/*'`, `key in list.txt`, with and, or, not
    #[arg(long, help_heading = topics::DATA, value_name = "CONDITION")]
    pub select: Option<String>,
    /// Of those, use only this share of each class; a smaller one is a subset of a larger one
    #[arg(long, help_heading = topics::DATA, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub fraction: Option<f64>,
    /// Of those, use only this many, with classes in proportion; a smaller number is a subset of a larger one
    #[arg(long, help_heading = topics::DATA, value_name = "N", value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub limit: Option<u64>,
    /// Order of an epoch: a `whole` shuffle, or `window=N` to shuffle N shards at a time, for shards that do not fit the cache
    /// [default: whole]
    #[arg(long, help_heading = topics::DATA)]
    pub shuffle: Option<Shuffle>,
    /// Named set of values [default: demo without shards, cifar10 for --arch at 32 or images of at most 64 pixels, else imagenet]
    #[arg(long, help_heading = topics::RUN)]
    pub preset: Option<Preset>,
    /// Self-supervised method [default: simsiam]
    #[arg(long, help_heading = topics::METHOD)]
    pub method: Option<Method>,
    /// Encoder [default: the preset's]
    #[arg(long, help_heading = topics::NETWORK)]
    pub arch: Option<Arch>,
    /// Height and width of the views, one that the encoder is compiled for [default: the preset's, 32 or 224]
    #[arg(long, help_heading = topics::NETWORK, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub size: Option<usize>,
    /// Whether residual blocks start as the identity, with 0 as the scale of their last batch norm [default: the method's
    /// authors']
    #[arg(long, help_heading = topics::NETWORK, value_name = "BOOL")]
    pub zero_init_residual: Option<bool>,
    /// Whether batch norm uses the images of all ranks, if several train together (see docs/distributed.md) [default: true]
    #[arg(long, help_heading = topics::NETWORK, value_name = "BOOL")]
    pub sync_bn: Option<bool>,
    /// Give the same bits with 1, 2, 4 or 8 ranks; slower, CPU only [default: false]
    #[arg(long, help_heading = topics::NETWORK, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub deterministic: Option<bool>,
    /// Epochs of training; --resume may change it [default: the preset's]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// Images per batch; the learning rate is base-lr * batch-size * accumulate / 256 [default: the preset's]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub batch_size: Option<usize>,
    /// Batches per step, whose gradients are averaged for one update [default: 1]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_name = "N", value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub accumulate: Option<u64>,
    /// Decoding threads: a number, or `auto` for half the cores; they affect the speed, never the result [default: auto]
    #[arg(long, help_heading = topics::DATA)]
    pub workers: Option<Workers>,
    /// Seed, the only source of randomness [default: 0]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Device of the model [default: cpu]
    #[arg(long, help_heading = topics::NETWORK)]
    pub device: Option<Device>,
    /// Precision of products [default: f32 on the CPU, tf32 on a GPU]
    #[arg(long, help_heading = topics::NETWORK)]
    pub precision: Option<Precision>,
    /// Learning rate at a batch of 256 [default: the preset's for sgd, 0.3 for lars, 0.001 for adamw]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub base_lr: Option<f64>,
    /// Epochs of linear warm-up [default: 0]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub warmup_epochs: Option<u64>,
    /// Optimiser, with its own defaults of base-lr and weight-decay [default: sgd; lars for barlow-twins and vicreg]
    #[arg(long, help_heading = topics::OPTIMIZATION)]
    pub optimizer: Option<Optimizer>,
    /// Momentum of sgd and lars; beta 1 of adamw [default: 0.9]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// L2 penalty of sgd on all parameters, of lars on all but biases and batch norm; decoupled decay of adamw [default: the preset's for sgd, 1e-6 for lars, 0.01 for adamw]
    #[arg(long, help_heading = topics::OPTIMIZATION, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// Whether the predictor's learning rate decays with the others [default: constant]
    #[arg(long, help_heading = topics::ABLATIONS)]
    pub predictor_lr: Option<PredictorLr>,
    /// Layers of the projector [default: the preset's]
    #[arg(long, help_heading = topics::NETWORK, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub projector_layers: Option<usize>,
    /// `false` lets gradients flow into the targets: collapses [default: true]
    #[arg(long, value_name = "BOOL", help_heading = topics::ABLATIONS)]
    pub stop_gradient: Option<bool>,
    /// Prediction head [default: mlp]
    #[arg(long, help_heading = topics::ABLATIONS)]
    pub predictor: Option<Predictor>,
    /// Layers of projector and predictor that have batch norm [default: default]
    #[arg(long, help_heading = topics::ABLATIONS)]
    pub mlp_bn: Option<HeadNorm>,
    /// Similarity of predictions and targets [default: cosine]
    #[arg(long, help_heading = topics::ABLATIONS)]
    pub similarity: Option<Similarity>,
    /// Which views predict which [default: symmetric]
    #[arg(long, help_heading = topics::ABLATIONS)]
    pub symmetry: Option<Symmetry>,
    /// Channels of the projections: 256, 512, 1024 or 2048 [default: the preset's]
    #[arg(long, help_heading = topics::ABLATIONS, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub projector_dim: Option<usize>,
    /// Renew the target network only every N steps, or each `epoch`: the EM view [default: every step]
    #[arg(long, value_name = "N", help_heading = topics::ABLATIONS)]
    pub alternate_steps: Option<AlternateSteps>,
    /// Targets of the predictions; moving-average has no predictor unless one is named [default: online]
    #[arg(long, help_heading = topics::ABLATIONS)]
    pub target: Option<Target>,
    /// Momentum of moving targets [default: 0.8 of moving-average, 0.996 of byol, 0.999 or 0.99 (CIFAR) of mocov2]
    #[arg(long, help_heading = topics::METHOD, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub target_momentum: Option<f64>,
    /// Temperature of the softmax of simclr, mocov2 and swav [default: the method's]
    #[arg(long, help_heading = topics::METHOD, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Keys in the queue of mocov2 [default: 65536, for small images 4096]
    #[arg(long, help_heading = topics::METHOD, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub queue: Option<usize>,
    /// A setting that only this method has, such as barlow-twins' lambda=0.0051; an invalid key lists the valid ones
    #[arg(long = "method-setting", help_heading = topics::METHOD, value_name = "KEY=NUMBER")]
    pub method_settings: Option<MethodSettings>,
    /// What to do when the outputs collapse [default: warn]
    #[arg(long, help_heading = topics::EVALUATION)]
    pub on_collapse: Option<OnCollapse>,
    /// Epochs between kNN evaluations, 0 for none [default: 1 if the data is labelled]
    #[arg(long, help_heading = topics::EVALUATION, value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub knn_every: Option<u64>,
    /// End the run early: `knn>=55` (percent), `stale 10` (evaluations without a better kNN), or both; `never` removes a run's
    /// rules [default: never]
    #[arg(long, help_heading = topics::EVALUATION, value_name = "RULE", value_delimiter = ',')]
    pub stop_when: Option<Vec<StopRule>>,
    /// Train a linear classifier along with the encoder, without affecting it, and log its accuracy; for labelled data [default:
    /// false]
    #[arg(long, help_heading = topics::EVALUATION, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub online_probe: Option<bool>,
    /// Number of neighbours that vote [default: the preset's]
    #[arg(long, help_heading = topics::EVALUATION, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub knn_k: Option<usize>,
    /// Temperature of the votes, which weigh exp(similarity / temperature) [default: 0.1]
    #[arg(long, help_heading = topics::EVALUATION, value_parser = number::<f32>, allow_negative_numbers = true)]
    pub knn_temperature: Option<f32>,
    /// What to do with a sample that cannot be read or decoded [default: skip]
    #[arg(long, help_heading = topics::DATA)]
    pub on_bad_sample: Option<BadSamplePolicy>,
    /// Share of samples that may be unusable before the run stops; one always may [default: 0.01]
    #[arg(long, help_heading = topics::DATA, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub bad_sample_budget: Option<f64>,
    /// Steps between log lines [default: 10]
    #[arg(long, help_heading = topics::RUN, value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub log_every: Option<u64>,
    /// Steps between checkpoints, besides the one at each epoch's end [default: 1000]
    #[arg(long, help_heading = topics::RUN, value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub checkpoint_every: Option<u64>,
    /// Checkpoints kept, besides the best [default: 1]
    #[arg(long, help_heading = topics::RUN, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub keep_checkpoints: Option<usize>,
    /// Where [`shards`](Self::shards) are, whatever the current folder (configuration file only)
    #[arg(skip)]
    pub absolute_shards: Option<Vec<String>>,
    /// Where [`val_shards`](Self::val_shards) are (configuration file only)
    #[arg(skip)]
    pub absolute_val_shards: Option<Vec<String>>,
    /// SwAV's crops, for swav: 2 of --size, and 6 of the largest size up to half of it that the encoder is compiled for (224: 96; 32: 16) [default: two views of --size]
    #[arg(long, help_heading = topics::AUGMENTATION, num_args = 0, default_missing_value = "true", conflicts_with = "recipe")]
    pub multi_crop: Option<bool>,
    /// Augmentation: `byol` for BYOL's two recipes, `swav` for --multi-crop's, or a TOML file with what differs from the preset's [default: the preset's]
    #[arg(long, help_heading = topics::AUGMENTATION, value_name = "NAME|FILE", value_parser = recipe_table)]
    pub recipe: Option<toml::Table>,
    /// Decode large JPEGs at 1/2, 1/4 or 1/8 where each crop still has GAP times a view's width and height; 0 disables it
    /// [default: the recipe's]
    #[arg(long, help_heading = topics::AUGMENTATION, value_name = "GAP", value_parser = number::<f64>, allow_negative_numbers = true)]
    pub reducing_gap: Option<f64>,
    /// Which of these values a file has set
    #[arg(skip)]
    #[serde(skip)]
    pub file: Option<ConfigFile>,
}

/// Patterns of shards: a list, or a table with their weights, which are a part of the pattern elsewhere.
fn list_or_mixture<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of patterns, or a table of patterns and their weights")]
    enum Patterns {
        List(Vec<String>),
        Mixture(BTreeMap<String, f64>),
    }
    Ok(Some(match Patterns::deserialize(value)? {
        Patterns::List(patterns) => patterns,
        Patterns::Mixture(sets) => {
            sets.into_iter().map(|(pattern, weight)| format!("{pattern}={weight}")).collect()
        }
    }))
}

/// A configuration file, for errors about what it says.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    keys: BTreeSet<String>,
}

impl Overrides {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key or value that means nothing; line and column are named.
    pub fn from_file(path: &Path) -> Result<Self, InputError> {
        let wrong = |error: &dyn fmt::Display| {
            InputError::new(format!("configuration {}: {error}", path.display()).trim_end().to_owned())
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let (settings, keys) = Self::parse(&text).map_err(|error| wrong(&error))?;
        let file = ConfigFile { path: path.to_owned(), keys: keys.into_iter().collect() };
        Ok(Self { file: Some(file), ..settings })
    }

    /// What a configuration file says, and the keys that it sets.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn parse(text: &str) -> Result<(Self, Vec<String>), InputError> {
        let settings: Self = toml::from_str(text).map_err(|error| InputError::new(error.to_string()))?;
        let keys = checked_table(&settings)?.keys().cloned().collect();
        Ok((settings, keys))
    }

    /// These options with what is said of reading the images.
    pub fn open_options(&self, options: OpenOptions) -> OpenOptions {
        OpenOptions {
            labels: self.labels.clone().unwrap_or(options.labels),
            cache_dir: self.cache_dir.clone().or(options.cache_dir),
            cache_size: self.cache_size.map_or(options.cache_size, |ByteSize(bytes)| bytes),
            ..options
        }
    }

    /// These values where they are set, else those of `below`.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        let (mut merged, own) = (table(below), table(self));
        for shards in ["shards", "val_shards"] {
            if own.contains_key(shards) {
                merged.remove(&format!("absolute_{shards}"));
            }
        }
        let file = below.file.clone().map(|ConfigFile { path, mut keys }| {
            keys.retain(|key| !own.contains_key(key));
            ConfigFile { path, keys }
        });
        merged.extend(own);
        let merged: Self = merged.try_into().expect("two sets of overrides make one");
        Self { file, ..merged }
    }

    /// These values where they are set, else those of a configuration file, if there is one.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn over_file(self, path: Option<&Path>) -> Result<Self, InputError> {
        match path {
            Some(path) => Ok(self.over(&Self::from_file(path)?)),
            None => Ok(self),
        }
    }

    /// Says that a value cannot be: by its flag, or by its key where a file has set it.
    pub(crate) fn refusal(&self, key: &str, value: impl fmt::Display, allowed: &str) -> InputError {
        InputError::new(match self.file_of(key) {
            Some(file) => format!("configuration {file}: {key} = {value}: {allowed}"),
            None => format!("--{} {value}: {allowed}", key.replace('_', "-")),
        })
    }

    /// The same of something within the recipe, if these say anything of it.
    pub(crate) fn refused_recipe(&self, reason: &str) -> InputError {
        InputError::new(match (self.file_of("recipe"), reason.strip_prefix("recipe: ")) {
            (Some(file), _) => format!("configuration {file}: {reason}"),
            (None, Some(reason)) if self.recipe.is_some() => format!("--recipe: {reason}"),
            _ => reason.to_owned(),
        })
    }

    /// Whether a file has set this value.
    pub(super) fn is_of_file(&self, key: &str) -> bool {
        self.file_of(key).is_some()
    }

    fn file_of(&self, key: &str) -> Option<impl fmt::Display> {
        self.file.as_ref().filter(|file| file.keys.contains(key)).map(|file| file.path.display())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, ValueEnum};

    use super::*;
    use crate::config::TrainConfig;

    /// The default that a flag's help states.
    fn stated(argument: &clap::Arg) -> Option<String> {
        let help = argument.get_help()?.to_string();
        Some(help.rsplit_once("[default: ")?.1.trim_end_matches(']').to_owned())
    }

    #[test]
    fn the_help_states_every_default_and_each_that_is_a_value_is_the_presets() {
        // Without them: the demo's images, all of them, the method's own numbers.
        const WITHOUT: [&str; 5] = ["shards", "select", "fraction", "limit", "method_settings"];
        let own = Overrides::augment_args(clap::Command::new("settings"));
        for argument in own.get_arguments() {
            let key = argument.get_id().as_str();
            let Some(stated) = stated(argument) else {
                assert!(WITHOUT.contains(&key), "{key} states no default");
                continue;
            };
            for preset in Preset::value_variants() {
                let config = table(&TrainConfig::preset(*preset));
                // What is said in words is said of several cases.
                let Some(value) = config.get(key).filter(|_| !stated.contains(' ')) else { continue };
                let same = match value.as_float() {
                    Some(value) => stated.parse().is_ok_and(|stated: f64| (value - stated).abs() < 1e-6),
                    None => value.to_string().trim_matches('"') == stated,
                };
                assert!(same, "{key} is {value} in {preset:?}, its help says {stated}");
            }
        }
    }

    #[test]
    fn the_help_groups_every_setting() {
        let own = Overrides::augment_args(clap::Command::new("settings"));
        for argument in own.get_arguments() {
            assert!(argument.get_help_heading().is_some(), "{} has no heading", argument.get_id());
        }
    }
}
