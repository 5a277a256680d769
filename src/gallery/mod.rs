//! What a run's network makes of images: `simsiam report --samples`.
//!
//! - `neighbours`: the training images that are nearest to a validation image.
//! - `pca`, `tsne`: features on a plane.

mod neighbours;
mod pca;
mod tsne;

pub use self::neighbours::{Neighbour, Neighbours};

use std::collections::BTreeMap;

use anyhow::Result;

use crate::config::{Overrides, ShardFlags};
use crate::console::{Console, Unit};
use crate::data::{Data, Place};
use crate::error::InputError;
use crate::evaluate::features::Extractor;
use crate::evaluate::frozen::FeatureLayer;
use crate::evaluate::samples::Samples;
use crate::evaluate::subject::Subject;
use crate::interrupt::Interrupt;
use crate::preview::Preview;
use crate::record::RunRecord;

/// Images of a step whose views are shown.
const VIEWED: usize = 4;
/// A larger file of an unusable sample is not shown.
const LARGEST_UNUSABLE: usize = 100 << 10;

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct GalleryConfig {
    /// Images on the map.
    pub samples: usize,
    /// A step whose views are shown, besides the first and the last; from 1.
    pub step: Option<u64>,
    /// Where the shards are, if not where they were.
    pub shards: Overrides,
}

/// Images of a run.
pub struct Gallery {
    /// The network: its checkpoint's folder, or `untrained`.
    pub checkpoint: String,
    /// What training saw.
    pub views: Vec<Preview>,
    /// The images on the map, and what they are on it.
    pub samples: Samples,
    /// Their places by the first two principal components.
    pub pca: Vec<[f32; 2]>,
    /// Their places by t-SNE.
    pub tsne: Vec<[f32; 2]>,
    /// The nearest training images of some of them.
    pub neighbours: Neighbours,
    /// The files of unusable samples, by the sample's number.
    pub unusable: BTreeMap<u64, Vec<u8>>,
}

impl Gallery {
    /// Encodes images with a run's newest network.
    ///
    /// # Errors
    /// If the run has no checkpoint, its shards are gone or others now, the step is beyond its last, or the images cannot be read.
    pub fn of(
        run: &RunRecord,
        config: &GalleryConfig,
        interrupt: &Interrupt,
        console: &Console,
    ) -> Result<Self> {
        let GalleryConfig { samples, step, shards } = config;
        let subject = Subject::load(&run.path, None)?;
        let train = subject.config.with(shards)?.found_from_here(&run.path, shards, ShardFlags::TRAIN)?;
        let data = Data::open(&train, &console.open_options())?;
        subject.check_own(&data.train.shards, "--shards")?;
        let steps = train.epochs * data.steps_per_epoch(&train)?;
        if let Some(step) = step.filter(|step| *step > steps) {
            let text = format!("--step {step}: run {} has {steps} steps", run.path.display());
            return Err(InputError::new(text).into());
        }
        let mut shown = vec![1, subject.step.max(1)];
        shown.extend(step);
        shown.sort_unstable();
        shown.dedup();
        let views = shown.into_iter().map(|step| Preview::of_step(&train, &data, step, VIEWED));
        let views = views.collect::<Result<_>>()?;

        let encoder = &subject.freeze(FeatureLayer::Backbone)?;
        let extractor =
            Extractor { encoder, recipe: &train.recipe, workers: train.workers.count(), interrupt };
        let queries = data.knn.as_ref().map_or(&data.train, |knn| &knn.queries);
        let samples = Samples::of(&extractor, queries, *samples)?;
        let bank = data.train.len().min(Neighbours::MOST_IMAGES as u64);
        let phase = console.phase("encoding training images", bank, Unit::Things("images"));
        let neighbours = Neighbours::of(&samples, queries, &extractor, &data.train, &phase)?;
        drop(phase);
        let phase = console.phase("t-SNE", tsne::STEPS, Unit::Things("steps"));
        let tsne = tsne::tsne(&samples.features, samples.dim, &phase);
        drop(phase);
        Ok(Self {
            checkpoint: subject.to_string(),
            views,
            pca: pca::pca(&samples.features, samples.dim),
            tsne,
            neighbours,
            unusable: unusable(run, &data),
            samples,
        })
    }
}

/// The files of the unusable samples that are listed, as far as they can be read and are not too large.
fn unusable(run: &RunRecord, data: &Data) -> BTreeMap<u64, Vec<u8>> {
    let shards = &data.train.shards;
    let file = |sample: u64| {
        let encoded = shards.read(sample).ok()?;
        (encoded.bytes.len() <= LARGEST_UNUSABLE).then(|| (sample, encoded.bytes.to_vec()))
    };
    // The list has those of the validation shards, too, whose numbers are other images here.
    let is_here =
        |place: &str, sample: u64| sample < shards.len() && Place::of(shards, sample).at.to_string() == place;
    let listed = run.quarantine.iter().take(RunRecord::MOST_LISTED);
    let listed = listed.filter(|bad| is_here(&bad.place, bad.sample));
    listed.filter_map(|bad| file(bad.sample)).collect()
}
