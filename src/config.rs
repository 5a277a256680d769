//! What a run is made of: presets, a TOML file over them, flags over both.

mod comparison;
mod method;
mod optimizer;
mod overrides;
mod places;
mod preset;
pub mod recipe;
mod shuffle;
mod stop_rule;
mod validate;
pub mod values;
mod views;
mod workers;

pub use comparison::difference;
pub use method::{AlternateSteps, Predictor, Target};
pub use optimizer::Optimizer;
pub use overrides::Overrides;
pub use places::ShardFlags;
pub use preset::Preset;
pub use shuffle::Shuffle;
pub use simsiam_model::heads::HeadNorm;
pub use simsiam_model::methods::{MethodName as Method, Similarity, Symmetry};
pub use stop_rule::{Accuracies, StopRule};
pub use workers::Workers;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use simsiam_model::arch::Arch;
use simsiam_pipeline::Recipe;
use simsiam_pipeline::choose::Choice;
use simsiam_pipeline::shards::{Labels, OpenOptions};

use self::values::ByteSize;
use crate::console::counted;
use crate::error::InputError;

/// A resolved run: printed at the start, saved as `RUN/config.toml` and in every checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Where the other values come from.
    pub preset: Preset,
    /// Training shards: files, folders, globs or brace patterns. Empty for the demo's own.
    pub shards: Vec<String>,
    /// Shards for the kNN monitor's queries. Empty: a tenth of the training data, at most 10,000 images, is held out.
    pub val_shards: Vec<String>,
    /// Where `shards` are, whatever the current folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absolute_shards: Vec<String>,
    /// Where `val_shards` are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absolute_val_shards: Vec<String>,
    /// Where labels come from.
    #[serde(default)]
    pub labels: Labels,
    /// Where indexes and copies go that cannot lie beside their sources. Left out, the user's cache folder.
    pub cache_dir: Option<PathBuf>,
    /// Most that fetched shards take there. Left out, 50 GiB.
    pub cache_size: Option<ByteSize>,
    /// Only images that this condition holds for, in the language of [`choose`](simsiam_pipeline::choose).
    pub select: Option<String>,
    /// Only this share of each class of those.
    pub fraction: Option<f64>,
    /// Only so many of those.
    pub limit: Option<u64>,
    /// How an epoch's order is drawn.
    #[serde(default)]
    pub shuffle: Shuffle,
    /// What the encoder learns by.
    pub method: Method,
    /// The encoder.
    pub arch: Arch,
    /// Passes over the data.
    pub epochs: u64,
    /// Images a batch.
    pub batch_size: usize,
    /// Whether residual blocks begin as the identity: the scale of their last batch norm is 0 (Goyal et al. 2017).
    #[serde(default = "yes")]
    pub zero_init_residual: bool,
    /// Batches a step, whose gradients are averaged. The learning rate follows the images of a step:
    /// `base_lr * batch_size * accumulate / 256` (Goyal et al. 2017).
    #[serde(default = "one")]
    pub accumulate: u64,
    /// Whether batch norm's statistics are those of all ranks' images, where several train together.
    #[serde(default = "yes")]
    pub sync_bn: bool,
    /// Whether sums over a batch are in an order that does not depend on the number of ranks.
    #[serde(default)]
    pub deterministic: bool,
    /// The only source of randomness.
    pub seed: u64,
    /// Where the model runs.
    pub device: Device,
    /// How numbers are multiplied; left out, in single precision on the CPU and in TF32 on a GPU.
    pub precision: Option<Precision>,
    /// Decoding threads.
    pub workers: Workers,
    /// Learning rate at a batch of 256.
    pub base_lr: f64,
    /// Epochs of linear warm-up; the paper has none below a batch of 1024.
    pub warmup_epochs: u64,
    /// What moves the parameters.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Momentum of SGD and LARS; AdamW's beta 1.
    pub momentum: f64,
    /// L2 penalty: SGD's on all parameters, biases and batch norm included, LARS's on all but these. AdamW's decoupled decay of
    /// all parameters.
    pub weight_decay: f64,
    /// Whether the predictor's learning rate decays with the others (section 4.2: constant is better, 68.1 to 67.7).
    pub predictor_lr: PredictorLr,
    /// Layers of the projector: 3 on ImageNet, 2 on CIFAR-10 (appendix D).
    pub projector_layers: usize,
    /// Channels of the projection `z`; SimSiam's predictor has a quarter in its hidden layer.
    pub projector_dim: usize,
    /// Layers of projector and predictor that have batch norm (table 3).
    pub mlp_bn: HeadNorm,
    /// The prediction head (section 4.2).
    pub predictor: Predictor,
    /// Whether the targets are constants (section 4.1). Without it the encoder collapses.
    pub stop_gradient: bool,
    /// What predictions and targets are compared by (section 4.5).
    pub similarity: Similarity,
    /// Which views predict which (section 4.6).
    pub symmetry: Symmetry,
    /// What SimSiam's predictions are compared with (section 5).
    pub target: Target,
    /// Momentum of the moving average that makes the targets: BYOL's and MoCo's network, or each image's average.
    pub target_momentum: Option<f64>,
    /// How long the targets' network is kept (section 5, alternating optimisation). Left out, it is the network itself.
    pub alternate_steps: Option<AlternateSteps>,
    /// Temperature of the loss's softmax; of SimCLR, MoCo v2 and SwAV.
    pub temperature: Option<f64>,
    /// Keys in MoCo's queue.
    pub queue: Option<usize>,
    /// Numbers that the method alone is set by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub method_settings: BTreeMap<String, f64>,
    /// What to do when the outputs collapse.
    pub on_collapse: OnCollapse,
    /// Epochs between kNN evaluations; 0 for none. Left out, every epoch if the data is labelled.
    pub knn_every: Option<u64>,
    /// What ends the run before its last epoch: the first of these rules that holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_when: Vec<StopRule>,
    /// Whether a linear classifier learns beside the encoder.
    #[serde(default)]
    pub online_probe: bool,
    /// Neighbours that vote.
    pub knn_k: usize,
    /// Votes weigh `exp(similarity / temperature)`.
    pub knn_temperature: f32,
    /// Share of samples that may be unusable before the run stops.
    pub bad_sample_budget: f64,
    /// What to do with an unusable sample.
    pub on_bad_sample: BadSamplePolicy,
    /// Steps between log lines.
    pub log_every: u64,
    /// Steps between checkpoints, besides the one at each epoch's end.
    pub checkpoint_every: u64,
    /// Checkpoints kept, besides the best.
    pub keep_checkpoints: usize,
    /// What is done to each view.
    pub recipe: Recipe,
}

/// Where the model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The CPU, all cores.
    Cpu,
    /// An NVIDIA GPU, in a program built with the feature `cuda`.
    Cuda,
}

/// How numbers are multiplied and stored between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision
    F32,
    /// Factors with 10 bits of mantissa on a GPU's tensor cores, sums in single precision
    Tf32,
    /// bf16 for images between layers and for the factors of convolutions and linear layers, single precision for the rest
    Bf16,
}

/// The predictor's learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PredictorLr {
    /// Keeps the base value.
    Constant,
    /// Decays on the cosine schedule.
    Decay,
}

/// What to do when the outputs no longer tell images apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnCollapse {
    /// Print a warning and continue.
    Warn,
    /// Print a warning, save and stop.
    Stop,
}

/// What to do with a sample that cannot be read or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BadSamplePolicy {
    /// Count it, list it and use another sample, within the budget.
    Skip,
    /// Stop.
    Fail,
}

impl TrainConfig {
    /// The preset's values with `overrides` on top.
    ///
    /// # Errors
    /// If values contradict each other.
    pub fn resolve(overrides: &Overrides) -> Result<Self, InputError> {
        let unset = if overrides.shards.is_none() { Preset::Demo } else { Preset::Imagenet };
        let preset = Self::preset(overrides.preset.unwrap_or(unset));
        let preset = preset.for_method(overrides.method.unwrap_or_default());
        let optimizer = overrides.optimizer.unwrap_or_else(|| preset.own_optimizer());
        preset.for_optimizer(optimizer).with(overrides)
    }

    /// This configuration with `overrides` on top.
    ///
    /// # Errors
    /// If values contradict each other.
    pub fn with(&self, overrides: &Overrides) -> Result<Self, InputError> {
        // Another method has other values of its own.
        let other = overrides.method.filter(|method| *method != self.method);
        let mut merged = match other {
            Some(method) => checked_table(&self.clone().for_method(method))?,
            None => checked_table(self)?,
        };
        let mut settings = checked_table(overrides)?;
        for of_the_recipe in ["recipe", "multi_crop", "reducing_gap", "size"] {
            settings.remove(of_the_recipe);
        }
        let own = settings.remove("method_settings");
        merged.extend(settings);
        let mut config: Self = merged.try_into().expect("a configuration with overrides on top is one");
        if let Some(own) = own {
            let own: BTreeMap<String, f64> = own.try_into().expect("a table of numbers");
            config.method_settings.extend(own);
        }
        config.recipe = config.recipe_with(overrides)?;
        config.resolve_method(overrides);
        config.place(overrides);
        config.validate(overrides)?;
        config.stop_when.retain(|rule| *rule != StopRule::Never);
        Ok(config)
    }

    /// The recipe with `overrides` on top, for this encoder, whatever the method takes of it.
    ///
    /// # Errors
    /// If a key or value means nothing, or the encoder has no size for small crops.
    pub fn recipe_with(&self, overrides: &Overrides) -> Result<Recipe, InputError> {
        let mut recipe = self.recipe.clone();
        // The size is known to a recipe that is named, and wins over a file's.
        recipe.size = overrides.size.unwrap_or(recipe.size);
        if let Some(changes) = &overrides.recipe {
            recipe = recipe::changed(&recipe, self.arch, changes.clone())
                .map_err(|error| overrides.refused_recipe(&error.to_string()))?;
        }
        recipe.size = overrides.size.unwrap_or(recipe.size);
        if overrides.multi_crop == Some(true) {
            recipe = recipe::multi_crop(&recipe, self.arch)?;
        }
        if let Some(gap) = overrides.reducing_gap {
            recipe.reducing_gap = (gap != 0.0).then_some(gap);
        }
        Ok(recipe)
    }

    /// These options, with where labels come from and where to keep what cannot lie beside its source.
    pub fn open_options(&self, options: &OpenOptions) -> OpenOptions {
        OpenOptions {
            labels: self.labels.clone(),
            cache_dir: self.cache_dir.clone(),
            cache_size: self.cache_size.map_or(options.cache_size, |ByteSize(bytes)| bytes),
            ..options.clone()
        }
    }

    /// The settings that matter most, on one line.
    pub fn summary(&self) -> String {
        let Self { method, arch, epochs, batch_size, base_lr, seed, .. } = self;
        let (size, epochs) = (self.recipe.size, counted(*epochs, "epoch"));
        let optimizer = table(self)["optimizer"].as_str().unwrap_or_default().to_owned();
        format!(
            "{method}, {arch} at {size}, {epochs}, batches of {batch_size}, {optimizer} at {base_lr}, seed {seed}"
        )
    }

    /// Images of an update.
    pub fn images_per_step(&self) -> f64 {
        self.batch_size as f64 * self.accumulate as f64
    }

    /// The patterns of the images that an evaluation classifies: some are held out of the training images where there are no others.
    pub fn classified(&self) -> &[String] {
        if self.val_shards.is_empty() { &self.shards } else { &self.val_shards }
    }

    /// Which of the training images to use.
    pub fn choice(&self) -> Choice {
        Choice { select: self.select.clone(), fraction: self.fraction, limit: self.limit }
    }

    /// Whether the kNN monitor runs after `epochs` epochs; always before the first and after the last.
    pub fn knn_is_due(&self, epochs: u64) -> bool {
        let every = self.knn_every.unwrap_or(1);
        every > 0 && (epochs.is_multiple_of(every) || epochs == self.epochs)
    }
}

/// TOML, as it is saved and printed.
impl fmt::Display for TrainConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(self).map_err(|_| fmt::Error)?)
    }
}

fn yes() -> bool {
    true
}

fn one() -> u64 {
    1
}

fn table<T: Serialize>(value: &T) -> toml::Table {
    toml::Table::try_from(value).expect("a configuration is a TOML table")
}

/// Settings as TOML, whose whole numbers have a sign.
fn checked_table<T: Serialize>(value: &T) -> Result<toml::Table, InputError> {
    let settings = serde_json::to_value(value).ok();
    let settings = settings.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten();
    for (key, number) in settings {
        if number.as_u64().is_some_and(|number| i64::try_from(number).is_err()) {
            return Err(InputError::new(format!("{key} = {number}: must be at most {}", i64::MAX)));
        }
    }
    Ok(table(value))
}

/// Where a run's files go.
pub fn default_run_dir(config: &TrainConfig) -> PathBuf {
    let preset = table(config)["preset"].as_str().unwrap_or_default().to_owned();
    let name = |number: u32| PathBuf::from(format!("runs/{number:03}-{preset}-{}", config.arch));
    (1..).map(name).find(|dir| !dir.exists()).expect("there is always a next number")
}
