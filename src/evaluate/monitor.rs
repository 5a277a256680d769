//! The kNN monitor: how good the features are while they are learned.

use anyhow::Result;
use simsiam_model::Backend;
use simsiam_model::collective::Ranks;
use simsiam_model::network::Network;

use super::features::Extractor;
use super::frozen::FrozenEncoder;
use super::knn::{KnnConfig, knn};
use super::scores::{hits, percent};
use crate::config::TrainConfig;
use crate::console::{Console, Unit};
use crate::data::KnnData;
use crate::interrupt::{Interrupt, Interrupted};

/// kNN top-1 accuracy of the encoder in percent (Wu et al. 2018; RECIPES: k = 200, T = 0.1, backbone features, batch
/// norm in evaluation mode, whole bank). Each rank encodes its share of the images, has the whole bank, and asks its share of the
/// queries. `None` if it was interrupted.
///
/// # Errors
/// If the data cannot be read, or more of it is bad than allowed.
pub fn knn_accuracy<D: Backend>(
    model: &Network<D>,
    data: &KnnData,
    config: &TrainConfig,
    interrupt: &Interrupt,
    ranks: &Ranks,
    console: &Console,
) -> Result<Option<f64>> {
    let encoder = &FrozenEncoder::new(model.features(), |images| model.encode(images));
    let extractor = Extractor { encoder, recipe: &config.recipe, workers: config.workers.count(), interrupt };
    let images = (data.bank.len() + data.queries.len()) / ranks.size() as u64;
    let phase = console.phase("kNN: encoding", images, Unit::Things("images"));
    let features = |source| extractor.collect_among(ranks, source, &phase);
    let sets = features(&data.bank).and_then(|bank| Ok((bank, features(&data.queries)?)));
    drop(phase);
    let (bank, queries) = match sets {
        Err(error) if error.is::<Interrupted>() => return Ok(None),
        sets => sets?,
    };
    let votes = KnnConfig { k: config.knn_k, temperature: config.knn_temperature };
    let (all, queries) = (queries.labels.len(), queries.share(ranks));
    let phase = console.phase("kNN: votes", queries.labels.len() as u64, Unit::Things("queries"));
    // Of fewer queries than ranks, some rank has none.
    let verdicts =
        if queries.labels.is_empty() && all > 0 { Vec::new() } else { knn(bank, queries, votes, &phase)? };
    let hits: u64 = ranks.all_gather(&[hits(&verdicts, 1) as u64]).iter().sum();
    Ok(Some(percent(hits as usize, all)))
}
