//! The kNN monitor: the encoder's pooled features of plain views, and the votes of their neighbours.

use anyhow::Result;
use simsiam_model::{Backend, Encoder, Images, images_from};
use simsiam_pipeline::PipelineConfig;

use crate::config::TrainConfig;
use crate::data::{KnnData, Source};
use crate::interrupt::Interrupt;
use crate::knn::{KnnConfig, LabelledFeatures, knn_top1};

/// Images a forward pass.
const BATCH: usize = 100;

/// kNN top-1 accuracy of the encoder in percent (Wu et al. 2018; RECIPES: k = 200, T = 0.1, backbone features, batch
/// norm in evaluation mode, whole bank). `None` if it was interrupted.
///
/// # Errors
/// If the data cannot be read, or more of it is bad than allowed.
pub fn knn_accuracy<E, D, const SIZE: usize, const FEATURES: usize>(
    encoder: &E,
    dev: &D,
    data: &KnnData,
    config: &TrainConfig,
    interrupt: &Interrupt,
) -> Result<Option<f64>>
where
    D: Backend,
    E: Encoder<D, SIZE, FEATURES>,
{
    let mut sets = Vec::with_capacity(2);
    for source in [&data.bank, &data.queries] {
        match features::<E, D, SIZE, FEATURES>(encoder, dev, source, config, interrupt)? {
            Some(features) => sets.push(features),
            None => return Ok(None),
        }
    }
    let votes = KnnConfig { k: config.knn_k, temperature: config.knn_temperature };
    Ok(Some(f64::from(knn_top1(&sets[0], &sets[1], votes)?.top1)))
}

/// The pooled features of every usable sample, in order.
fn features<E, D, const SIZE: usize, const FEATURES: usize>(
    encoder: &E,
    dev: &D,
    source: &Source,
    config: &TrainConfig,
    interrupt: &Interrupt,
) -> Result<Option<LabelledFeatures>>
where
    D: Backend,
    E: Encoder<D, SIZE, FEATURES>,
{
    let pipeline = PipelineConfig {
        part: source.part,
        workers: config.workers.count(),
        ..PipelineConfig::evaluation(&config.recipe, BATCH)
    };
    let mut features = LabelledFeatures { dim: FEATURES, features: Vec::new(), labels: Vec::new() };
    for batch in simsiam_pipeline::start(source.shards.clone(), source.quarantine.clone(), &pipeline)? {
        let batch = batch?;
        if interrupt.is_set() {
            return Ok(None);
        }
        let images: Images<D, 3, SIZE> = images_from(dev, batch.view(0));
        features.features.extend(encoder.forward(images).as_vec());
        features.labels.extend(batch.labels().map(|label| label.expect("labels were checked at the start")));
    }
    Ok(Some(features))
}
