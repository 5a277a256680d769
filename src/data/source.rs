//! A part of a set of shards: which samples are drawn, and which of them have labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use simsiam_pipeline::choose::Chosen;
use simsiam_pipeline::sampler::{Population, SampleSet};
use simsiam_pipeline::shards::OpenOptions;
use simsiam_pipeline::{OnBadSample, Part, PipelineConfig, Quarantine, ShardSet};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::{BadSamplePolicy, TrainConfig};
use crate::console::counted;
use crate::error::InputError;

/// A part of a shard set, with its list of bad samples.
#[derive(Clone)]
pub struct Source {
    /// The shards.
    pub shards: Arc<ShardSet>,
    /// The samples to draw from; `None` is all.
    pub chosen: Option<SampleSet>,
    /// Which of those.
    pub part: Part,
    /// Unusable samples met so far.
    pub quarantine: Arc<Quarantine>,
}

impl Source {
    /// Opens shards, with the configuration's policy for bad samples.
    ///
    /// # Errors
    /// If there are none, or they are broken.
    pub fn open(patterns: &[String], config: &TrainConfig, options: &OpenOptions) -> Result<Self> {
        let shards = ShardSet::open(patterns, &config.open_options(options))?;
        for warning in shards.warnings() {
            tracing::warn!("{}: {warning}", patterns.join(" "));
        }
        let quarantine = Arc::new(Quarantine::new(policy(config), shards.len()));
        Ok(Self { shards: Arc::new(shards), chosen: None, part: Part::All, quarantine })
    }

    /// As [`open`](Self::open), with the configuration's choice of samples.
    ///
    /// # Errors
    /// As there, or if no sample is as the choice says.
    pub fn open_chosen(patterns: &[String], config: &TrainConfig, options: &OpenOptions) -> Result<Self> {
        let mut source = Self::open(patterns, config, options)?;
        let chosen =
            config.choice().of(&*source.shards).map_err(|error| InputError::new(format!("--{error}")))?;
        if let Some(Chosen { samples, summary, warnings }) = chosen {
            tracing::info!("{}: {summary}", patterns.join(" "));
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            source.quarantine = Arc::new(Quarantine::new(policy(config), samples.len()));
            source.chosen = Some(samples);
        }
        Ok(source)
    }

    /// What a pipeline draws from it.
    pub fn pipeline(&self, pipeline: PipelineConfig) -> PipelineConfig {
        PipelineConfig {
            chosen: self.chosen.clone(),
            mixture: self.shards.mixture().cloned(),
            part: self.part,
            ..pipeline
        }
    }

    /// Identifies choice and mixture; `None` without.
    pub fn population(&self) -> Option<u64> {
        let population = Population::of_shards(self.shards.first_samples());
        population.choose(self.chosen.clone()).mix(self.shards.mixture().cloned()).fingerprint()
    }

    /// The validation shards, with the numbers that the training shards give to labels that are names.
    pub(super) fn open_val(
        config: &TrainConfig,
        train: &Self,
        options: &OpenOptions,
    ) -> Result<Option<Self>> {
        let patterns = &config.val_shards;
        let class_names = train.shards.class_names().map(<[String]>::to_vec);
        let options = OpenOptions { class_names, ..options.clone() };
        (!patterns.is_empty()).then(|| Self::open(patterns, config, &options)).transpose()
    }

    /// Whether each of its samples has a label.
    pub fn has_labels(&self) -> bool {
        self.labelled_len() == self.chosen_len()
    }

    /// How many of its samples have a label.
    pub(super) fn labelled_len(&self) -> u64 {
        match self.shards.shards().map(|shard| shard.labelled()).sum() {
            of_all if of_all == self.shards.len() => self.chosen_len(),
            of_all if of_all == 0 || self.chosen.is_none() => of_all,
            _ => self.labelled().count() as u64,
        }
    }

    /// The samples that are chosen, in their order, those of other parts included.
    pub fn chosen_samples(&self) -> impl Iterator<Item = u64> {
        (0..self.chosen_len()).map(|at| self.chosen.as_ref().map_or(at, |chosen| chosen.get(at)))
    }

    /// The samples that have a label, of all that are chosen.
    fn labelled(&self) -> impl Iterator<Item = u64> {
        self.chosen_samples().filter(|sample| self.shards.label(*sample).is_some())
    }

    /// At most `most` of its samples, drawn by a fixed permutation: sources are often sorted by class.
    #[must_use]
    pub fn some(&self, most: u64) -> Self {
        let part = match self.part {
            Part::All => Part::HeldOut { held_out: most },
            Part::HeldOut { held_out } => Part::HeldOut { held_out: held_out.min(most) },
            Part::Kept { held_out } => {
                Part::Kept { held_out: held_out.max(self.chosen_len().saturating_sub(most)) }
            }
        };
        Self { part, ..self.clone() }
    }

    /// The samples that have a label, to evaluate on. Says so where others have none.
    ///
    /// # Errors
    /// If none has.
    pub(super) fn only_labelled(self, patterns: &[String]) -> Result<Self, InputError> {
        if self.has_labels() {
            return Ok(self);
        }
        let (labelled, patterns) = (self.labelled().collect::<Vec<_>>(), patterns.join(" "));
        if labelled.is_empty() {
            return Err(InputError::new(format!(
                "evaluation needs labels, but no sample of {patterns} has one"
            )));
        }
        tracing::warn!(
            "{patterns}: evaluated on the {} of {} samples that have a label",
            labelled.len(),
            self.chosen_len()
        );
        let chosen = SampleSet::new(&labelled, self.shards.len());
        Ok(Self { chosen: Some(chosen), ..self })
    }

    pub(super) fn chosen_len(&self) -> u64 {
        self.chosen.as_ref().map_or(self.shards.len(), SampleSet::len)
    }

    /// A share of each class, at least one sample, drawn by `seed`.
    ///
    /// # Errors
    /// If a part of the samples is held out, which a share would hold out another part of.
    pub fn share_of_labels(&self, share: f64, seed: u64) -> Result<Self, InputError> {
        if share >= 1.0 {
            return Ok(self.clone());
        }
        if self.part != Part::All {
            return Err(InputError::new(
                "a share of the labels needs --val-shards: what was held out is a tenth of all images",
            ));
        }
        let mut classes: BTreeMap<Option<u32>, Vec<(u64, u64)>> = BTreeMap::new();
        let all = self.shards.len();
        for sample in self.chosen_samples() {
            let draw = xxh3_64_with_seed(self.shards.locate(sample).key.as_bytes(), seed);
            classes.entry(self.shards.label(sample)).or_default().push((draw, sample));
        }
        let drawn = classes.into_values().flat_map(|mut class| {
            class.sort_unstable();
            let taken = (share * class.len() as f64).round().max(1.0) as usize;
            class.into_iter().take(taken).map(|(_, sample)| sample)
        });
        let mut drawn: Vec<u64> = drawn.collect();
        drawn.sort_unstable();
        let chosen = SampleSet::new(&drawn, all);
        Ok(Self { chosen: Some(chosen), ..self.clone() })
    }

    /// Names the samples that could not be used.
    pub fn warn_of_unusable(&self) {
        const MOST_NAMED: usize = 10;
        let bad = self.quarantine.list();
        for bad in bad.iter().take(MOST_NAMED) {
            tracing::warn!("left out: {bad}");
        }
        if let Some(more @ 1..) = bad.len().checked_sub(MOST_NAMED) {
            tracing::warn!(
                "left out: {} more, which `simsiam inspect --verify` lists",
                counted(more as u64, "sample")
            );
        }
    }

    /// Number of samples.
    pub fn len(&self) -> u64 {
        self.part.len(self.chosen_len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn policy(config: &TrainConfig) -> OnBadSample {
    match config.on_bad_sample {
        BadSamplePolicy::Skip => OnBadSample::Skip { budget: config.bad_sample_budget },
        BadSamplePolicy::Fail => OnBadSample::Fail,
    }
}
