//! The online probe: a linear classifier that learns beside the encoder, from its features and the batch's labels.
//!
//! It takes detached features of the views that training sees, so the encoder learns nothing from it and is the same bits without it. Its
//! accuracy is measured on each batch before it learns from it. It says whether features become better, not how good they are: views are
//! augmented, and the images are those that the encoder is trained on.

use anyhow::{Result, ensure};
use simsiam_model::collective::Ranks;
use simsiam_model::state::NamedTensor;

use crate::config::TrainConfig;
use crate::data::Source;
use crate::error::InputError;
use crate::evaluate::class_count;
use crate::evaluate::features::LabelledFeatures;
use crate::evaluate::probe::head::Head;
use crate::evaluate::probe::optimizer::Optimizer;
use crate::evaluate::probe::recipe::ProbeRecipe;
use crate::evaluate::scores::accuracy;

/// Constant, at any batch size: standardised features have a norm of about 1.
const LEARNING_RATE: f32 = 1.0;
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";
const WEIGHT_VELOCITY: &str = "weight.velocity";
const BIAS_VELOCITY: &str = "bias.velocity";

/// A linear classifier under way: SGD with momentum 0.9.
pub struct OnlineProbe {
    head: Head,
    optimizer: Optimizer,
    dim: usize,
}

impl OnlineProbe {
    /// Refuses images without labels, in a run that is to have a probe.
    ///
    /// # Errors
    /// If there are any.
    pub fn check_labels(config: &TrainConfig, data: &Source) -> Result<(), InputError> {
        if !config.online_probe || data.has_labels() {
            return Ok(());
        }
        Err(InputError::new(format!(
            "--online-probe needs a label for every sample, but some in {} have none (`simsiam inspect` counts them)",
            config.shards.join(" ")
        )))
    }

    /// The classifier of a run at its beginning, for features of `dim` values; `None` if the run has none.
    ///
    /// # Errors
    /// If labels are larger than numbers of classes are.
    pub fn of(config: &TrainConfig, data: &Source, dim: usize) -> Result<Option<Self>, InputError> {
        let classes = config.online_probe.then(|| class_count(&[&data.shards])).transpose()?;
        Ok(classes.map(|classes| Self::new(dim, classes, config.seed)))
    }

    fn new(dim: usize, classes: usize, seed: u64) -> Self {
        let head = Head::new(dim, classes, seed);
        let optimizer = Optimizer::new(&ProbeRecipe::sgd(), &head);
        Self { head, optimizer, dim }
    }

    /// Classifies the features of a batch, `views x batch x dim`, and then learns from them. The top-1 accuracy, in percent. Features and
    /// labels are this rank's; those of all ranks are learned from.
    ///
    /// # Panics
    /// If an image has no label; sources are checked for them when they are opened.
    pub fn step(&mut self, features: Vec<f32>, labels: &[Option<u32>], ranks: &Ranks) -> f64 {
        let own = labels.iter().map(|label| label.expect("labels were checked at the start"));
        let views = features.len() / (labels.len() * self.dim);
        let labels = ranks.all_gather(&own.collect::<Vec<_>>()).repeat(views);
        let features = by_views(ranks.all_gather(&features), ranks.size(), views);
        let mut batch = LabelledFeatures { dim: self.dim, features, labels };
        standardise(&mut batch);
        let top1 = accuracy(&self.head.judge(&batch), 1);
        let (_, gradient) = self.head.loss(&batch.features, &batch.labels);
        self.optimizer.update(&mut self.head, gradient, LEARNING_RATE);
        top1
    }

    /// What goes on with it needs.
    pub fn export(&self) -> Vec<NamedTensor> {
        let (head, velocity) = (&self.head, self.optimizer.velocity());
        let matrix = |name: &str, data: &[f32]| NamedTensor {
            name: name.into(),
            shape: vec![self.dim, data.len() / self.dim],
            data: data.to_vec(),
        };
        let vector = |name: &str, data: &[f32]| NamedTensor {
            name: name.into(),
            shape: vec![data.len()],
            data: data.to_vec(),
        };
        vec![
            matrix(WEIGHT, &head.weight),
            vector(BIAS, &head.bias),
            matrix(WEIGHT_VELOCITY, &velocity.weight),
            vector(BIAS_VELOCITY, &velocity.bias),
        ]
    }

    /// Takes up what was exported.
    ///
    /// # Errors
    /// If it is not of the same form.
    pub fn import(&mut self, saved: &[NamedTensor]) -> Result<()> {
        let velocity = self.optimizer.velocity_mut();
        for (name, values) in [
            (WEIGHT, &mut self.head.weight),
            (BIAS, &mut self.head.bias),
            (WEIGHT_VELOCITY, &mut velocity.weight),
            (BIAS_VELOCITY, &mut velocity.bias),
        ] {
            let tensor = saved.iter().find(|tensor| tensor.name == name);
            let found = tensor.map_or(0, |tensor| tensor.data.len());
            ensure!(found == values.len(), "\"{name}\" has {found} values, and not {}", values.len());
            values.clone_from(&tensor.expect("a tensor of that length was found").data);
        }
        Ok(())
    }
}

/// Features of all ranks, `ranks x views x images`, as `views x ranks x images`: those of one process.
fn by_views(features: Vec<f32>, ranks: usize, views: usize) -> Vec<f32> {
    if ranks == 1 {
        return features;
    }
    let parts: Vec<_> = features.chunks_exact(features.len() / (ranks * views)).collect();
    let in_order = (0..views).flat_map(|view| (0..ranks).map(move |rank| rank * views + view));
    in_order.flat_map(|part| parts[part]).copied().collect()
}

/// Takes the batch's mean from each feature and divides by the root of their mean squared norm, so that one learning rate serves every
/// encoder at every moment.
fn standardise(batch: &mut LabelledFeatures) {
    let rows = batch.labels.len() as f64;
    let mut mean = vec![0f64; batch.dim];
    for row in batch.features.chunks_exact(batch.dim) {
        row.iter().zip(&mut mean).for_each(|(value, mean)| *mean += f64::from(*value) / rows);
    }
    let mut norm = 0f64;
    for row in batch.features.chunks_exact_mut(batch.dim) {
        for (value, mean) in row.iter_mut().zip(&mean) {
            *value -= *mean as f32;
            norm += f64::from(*value).powi(2) / rows;
        }
    }
    let scale = 1.0 / norm.sqrt().max(1e-12) as f32;
    batch.features.iter_mut().for_each(|value| *value *= scale);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use simsiam_model::collective::{SumOrder, Threads};

    use super::*;

    const DIM: usize = 6;

    /// Two views of images, whose features are far from 0, of any size, and tell classes apart by a little.
    fn batch(step: usize, size: f32) -> (Vec<f32>, Vec<Option<u32>>) {
        let images = 32;
        let label = |image: usize| ((image * 7 + step) % 3) as u32;
        let value = |row: usize, at: usize| {
            let noise = ((row * 31 + at * 17 + step * 13) % 97) as f32 / 97.0;
            size * (5.0 + 0.2 * noise + if at as u32 == label(row % images) { 0.3 } else { 0.0 })
        };
        let features = (0..2 * images).flat_map(|row| (0..DIM).map(move |at| value(row, at))).collect();
        (features, (0..images).map(|image| Some(label(image))).collect())
    }

    #[test]
    fn it_learns_whatever_the_features_size() {
        for size in [1e-3, 1.0, 1e3] {
            let mut probe = OnlineProbe::new(DIM, 3, 0);
            let accuracies: Vec<f64> = (0..60)
                .map(|step| {
                    let (features, labels) = batch(step, size);
                    probe.step(features, &labels, &Ranks::default())
                })
                .collect();
            assert!(
                accuracies[0] < 80.0 && accuracies[50..].iter().all(|top1| *top1 > 99.0),
                "{accuracies:?}"
            );
        }
    }

    #[test]
    fn one_that_was_saved_goes_on_to_the_same_bits() {
        let steps = |probe: &mut OnlineProbe, steps: std::ops::Range<usize>| {
            for step in steps {
                let (features, labels) = batch(step, 1.0);
                probe.step(features, &labels, &Ranks::default());
            }
        };
        let mut whole = OnlineProbe::new(DIM, 3, 0);
        steps(&mut whole, 0..4);
        let saved = whole.export();
        let mut resumed = OnlineProbe::new(DIM, 3, 1);
        resumed.import(&saved).unwrap();
        for probe in [&mut whole, &mut resumed] {
            steps(probe, 4..8);
        }
        let bits = |probe: &OnlineProbe| {
            let values = probe.export().into_iter().flat_map(|tensor| tensor.data);
            values.map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bits(&whole), bits(&resumed));
        let error = resumed.import(&saved[1..]).unwrap_err().to_string();
        assert_eq!(error, "\"weight\" has 0 values, and not 18");
    }

    #[test]
    fn ranks_learn_what_one_process_does() {
        let (features, labels) = batch(0, 1.0);
        let mut whole = OnlineProbe::new(DIM, 3, 0);
        let top1 = whole.step(features.clone(), &labels, &Ranks::default());
        let share = |rank: usize| {
            let images = labels.len() / 2;
            let rows = |view: usize| &features[(view * labels.len() + rank * images) * DIM..][..images * DIM];
            ([rows(0), rows(1)].concat(), &labels[rank * images..][..images])
        };
        std::thread::scope(|scope| {
            let start = |threads: Threads| {
                scope.spawn(|| {
                    let ranks = Ranks::new(Arc::new(threads), SumOrder::Any);
                    let (features, labels) = share(ranks.rank());
                    let mut probe = OnlineProbe::new(DIM, 3, 0);
                    (probe.step(features, labels, &ranks), probe.head.weight)
                })
            };
            for thread in Threads::group(2).into_iter().map(start).collect::<Vec<_>>() {
                assert_eq!(thread.join().unwrap(), (top1, whole.head.weight.clone()));
            }
        });
    }

    #[test]
    fn features_that_are_all_the_same_are_no_numbers_of_doubt() {
        let mut probe = OnlineProbe::new(2, 2, 0);
        probe.step(vec![1.0; 8], &[Some(0), Some(1)], &Ranks::default());
        assert!(probe.head.is_finite());
    }
}
