//! What a frozen encoder makes of the samples of shards.

use anyhow::Result;
use simsiam_model::collective::Ranks;
use simsiam_pipeline::{Batch, LastBatch, PipelineConfig, Recipe, World};

use super::frozen::FrozenEncoder;
use crate::console::Phase;
use crate::data::Source;
use crate::error::Diverged;
use crate::interrupt::{Interrupt, Interrupted};

/// Images a forward pass, at most.
const BATCH: usize = 128;

/// Features with their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledFeatures {
    /// Length of one feature.
    pub dim: usize,
    /// The features, one row of `dim` values each, of any norm.
    pub features: Vec<f32>,
    /// One label for each row.
    pub labels: Vec<u32>,
}

impl LabelledFeatures {
    /// No features yet, of `dim` values each.
    pub fn new(dim: usize) -> Self {
        Self { dim, ..Self::default() }
    }

    /// Appends a batch.
    ///
    /// # Panics
    /// If an image has no label; sources are checked for them when they are opened.
    pub fn extend(&mut self, batch: &FeatureBatch) {
        self.features.extend_from_slice(&batch.features);
        self.labels
            .extend(batch.images.labels().map(|label| label.expect("labels were checked at the start")));
    }
}

impl LabelledFeatures {
    /// A rank's share of the rows.
    pub(super) fn share(self, ranks: &Ranks) -> Self {
        let (len, size, rank) = (self.labels.len(), ranks.size(), ranks.rank());
        let rows = len * rank / size..len * (rank + 1) / size;
        Self {
            dim: self.dim,
            features: self.features[rows.start * self.dim..rows.end * self.dim].to_vec(),
            labels: self.labels[rows].to_vec(),
        }
    }

    /// Appends what each rank has, so many rows of each.
    fn extend_by_shares(&mut self, mut own: Self, lengths: &[usize], ranks: &Ranks) {
        let longest = lengths.iter().copied().max().unwrap_or_default();
        own.labels.resize(longest, 0);
        own.features.resize(longest * self.dim, 0.0);
        let (labels, features) = (ranks.all_gather(&own.labels), ranks.all_gather(&own.features));
        for (rank, len) in lengths.iter().enumerate() {
            self.labels.extend_from_slice(&labels[rank * longest..][..*len]);
            self.features.extend_from_slice(&features[rank * longest * self.dim..][..len * self.dim]);
        }
    }
}

/// A batch of images and their features.
pub struct FeatureBatch {
    /// The images, with their labels and sample numbers.
    pub images: Batch,
    /// One feature for each image, row after row.
    pub features: Vec<f32>,
}

/// Runs shards through an encoder.
pub struct Extractor<'a> {
    /// The encoder.
    pub encoder: &'a FrozenEncoder<'a>,
    /// The recipe that it was trained with; plain and lightly augmented views follow from it.
    pub recipe: &'a Recipe,
    /// Decoding threads.
    pub workers: usize,
    /// Ends the stream with an error.
    pub interrupt: &'a Interrupt,
}

impl Extractor<'_> {
    /// The features of a plain view of every usable sample, in order.
    ///
    /// # Errors
    /// If the pipeline cannot be started; as an item, if it fails or the user asked to stop.
    pub fn plain(&self, source: &Source) -> Result<impl Iterator<Item = Result<FeatureBatch>>> {
        self.stream(source, PipelineConfig::evaluation(self.recipe, BATCH))
    }

    /// The features of every sample's randomly cropped and flipped view of one epoch, in the epoch's random order.
    ///
    /// # Errors
    /// As [`plain`](Self::plain).
    pub fn augmented(
        &self,
        source: &Source,
        seed: u64,
        epoch: u64,
    ) -> Result<impl Iterator<Item = Result<FeatureBatch>>> {
        let training = PipelineConfig {
            views: 1,
            epochs: epoch..epoch + 1,
            last_batch: LastBatch::Kept,
            ..PipelineConfig::training(self.recipe.crop_and_flip(), BATCH, seed)
        };
        self.stream(source, training)
    }

    /// Every plain feature with its label; `phase` counts the images.
    ///
    /// # Errors
    /// As [`plain`](Self::plain).
    pub fn collect(&self, source: &Source, phase: &Phase) -> Result<LabelledFeatures> {
        let mut features = LabelledFeatures::new(self.encoder.dim());
        features.features.reserve_exact(source.len() as usize * features.dim);
        for batch in self.plain(source)? {
            let batch = batch?;
            phase.inc(batch.images.len() as u64);
            features.extend(&batch);
        }
        Ok(features)
    }

    /// As [`collect`](Self::collect), of which each rank encodes its share of every batch: the features of all, in the order of one
    /// process.
    ///
    /// # Errors
    /// As there; all ranks stop where one was asked to.
    pub fn collect_among(&self, ranks: &Ranks, source: &Source, phase: &Phase) -> Result<LabelledFeatures> {
        let (size, rank) = (ranks.size(), ranks.rank());
        let world = World { size: size as u64, rank: rank as u64 };
        let pipeline = PipelineConfig { world, ..PipelineConfig::evaluation(self.recipe, size * BATCH) };
        let mut own = self.stream(source, pipeline)?.peekable();
        let mut features = LabelledFeatures::new(self.encoder.dim());
        features.features.reserve_exact(source.len() as usize * features.dim);
        for step in 0..source.len().div_ceil((size * BATCH) as u64) {
            // Where a rank has no image of a batch, its next one is of a later batch.
            let is_due = |batch: &Result<FeatureBatch>| {
                batch.as_ref().map_or(true, |batch| batch.images.step() == step)
            };
            let mut share = LabelledFeatures::new(features.dim);
            let stopped = match own.next_if(is_due).transpose() {
                Ok(batch) => {
                    batch.iter().for_each(|batch| share.extend(batch));
                    false
                }
                Err(error) if error.is::<Interrupted>() => true,
                Err(error) => return Err(error),
            };
            let shares = ranks.all_gather(&[share.labels.len() as u64, stopped.into()]);
            if shares.chunks_exact(2).any(|share| share[1] > 0) {
                return Err(Interrupted.into());
            }
            phase.inc(share.labels.len() as u64);
            let lengths: Vec<usize> = shares.chunks_exact(2).map(|share| share[0] as usize).collect();
            features.extend_by_shares(share, &lengths, ranks);
        }
        Ok(features)
    }

    fn stream(
        &self,
        source: &Source,
        pipeline: PipelineConfig,
    ) -> Result<impl Iterator<Item = Result<FeatureBatch>>> {
        let pipeline = source.pipeline(PipelineConfig { workers: self.workers, ..pipeline });
        let batches = simsiam_pipeline::start(source.shards.clone(), source.quarantine.clone(), &pipeline)?;
        Ok(batches.map(|images| {
            self.interrupt.check()?;
            let images = images?;
            let features = self.encoder.forward(images.view(0));
            if !features.iter().all(|value| value.is_finite()) {
                return Err(Diverged("the encoder has features that are not finite".into()).into());
            }
            Ok(FeatureBatch { features, images })
        }))
    }
}
