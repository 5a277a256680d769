//! The linear probe: a linear classifier on features that no longer change (Chen & He 2021, section 3 and appendix D).
//!
//! - [`recipe`]: how it is trained; [`examples`]: on what.
//! - [`head`]: softmax regression and its gradient; [`optimizer`]: SGD and LARS.

pub mod examples;
pub mod head;
pub mod optimizer;
pub mod recipe;

use anyhow::{Result, ensure};
use serde::Serialize;

use self::examples::Examples;
use self::head::Head;
use self::optimizer::Optimizer;
use self::recipe::ProbeRecipe;
use super::features::LabelledFeatures;
use super::scores::{Verdict, accuracy};
use crate::progress::Mean;

/// A probe trained at one learning rate.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Learning rate at a batch of 256.
    pub base_lr: f64,
    /// One entry an epoch.
    pub history: Vec<ProbeEpoch>,
    /// On the validation features, after the last epoch.
    pub verdicts: Vec<Verdict>,
    head: Head,
    optimizer: Optimizer,
    losses: Mean,
}

/// What an epoch of a probe came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ProbeEpoch {
    /// From 1.
    pub epoch: u64,
    /// Mean cross-entropy over the epoch's steps.
    pub loss: f64,
    /// Top-1 accuracy on the validation features, in percent.
    pub top1: f64,
    /// Top-5 accuracy on the validation features, in percent.
    pub top5: f64,
}

/// Trains a classifier of `classes` classes on `examples` at each of the recipe's learning rates, and judges it on `val`
/// after each epoch. `after_step` is told the images of each step.
///
/// The result is a function of features, recipe and seed: the same for any number of threads.
///
/// # Errors
/// If examples cannot be had, a loss is no longer a number, or `after_step` fails.
pub fn probe(
    recipe: &ProbeRecipe,
    examples: &Examples<'_>,
    val: &LabelledFeatures,
    classes: usize,
    seed: u64,
    mut after_step: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<Trial>> {
    let head = Head::new(val.dim, classes, seed);
    let mut trials: Vec<Trial> =
        recipe.base_lrs.iter().map(|&base_lr| Trial::new(base_lr, recipe, head.clone())).collect();
    for epoch in 0..recipe.epochs {
        let factor = recipe.lr_factor(epoch);
        examples.for_each_batch(epoch, recipe.batch_size, seed, |features, labels| {
            trials.iter_mut().try_for_each(|trial| trial.step(features, labels, factor))?;
            after_step(labels.len())
        })?;
        trials.iter_mut().try_for_each(|trial| trial.end_epoch(epoch + 1, val))?;
    }
    Ok(trials)
}

/// The trial with the highest top-1 accuracy after the last epoch, the first of equals.
///
/// # Panics
/// If there is none.
pub fn highest(trials: &[Trial]) -> &Trial {
    let by_top1 = |a: &&Trial, b: &&Trial| a.last().top1.total_cmp(&b.last().top1);
    trials.iter().rev().max_by(by_top1).expect("a recipe has a learning rate")
}

impl Trial {
    fn new(base_lr: f64, recipe: &ProbeRecipe, head: Head) -> Self {
        let optimizer = Optimizer::new(recipe, &head);
        Self { base_lr, history: Vec::new(), verdicts: Vec::new(), head, optimizer, losses: Mean::default() }
    }

    fn step(&mut self, features: &[f32], labels: &[u32], lr_factor: f64) -> Result<()> {
        let (loss, gradient) = self.head.loss(features, labels);
        let (base_lr, epoch) = (self.base_lr, self.history.len() + 1);
        ensure!(
            loss.is_finite(),
            "the probe diverged: its loss is {loss} in epoch {epoch} at --probe-lr {base_lr}"
        );
        self.losses.add(loss);
        self.optimizer.update(&mut self.head, gradient, (base_lr * lr_factor) as f32);
        Ok(())
    }

    fn end_epoch(&mut self, epoch: u64, val: &LabelledFeatures) -> Result<()> {
        // What the last step left behind has no loss that would tell.
        ensure!(
            self.head.is_finite(),
            "the probe diverged: its weights are not finite after epoch {epoch} at --probe-lr {}",
            self.base_lr
        );
        self.verdicts = self.head.judge(val);
        let (top1, top5) = (accuracy(&self.verdicts, 1), accuracy(&self.verdicts, 5));
        let loss = self.losses.take().expect("the batch is no larger than the data, so there was a step");
        self.history.push(ProbeEpoch { epoch, loss, top1, top5 });
        Ok(())
    }

    /// The last epoch.
    pub fn last(&self) -> ProbeEpoch {
        *self.history.last().expect("a probe trains for at least one epoch")
    }

    /// The epoch with the highest top-1 accuracy, the first of equals.
    pub fn best(&self) -> ProbeEpoch {
        let better =
            |best: ProbeEpoch, epoch: &ProbeEpoch| if epoch.top1 > best.top1 { *epoch } else { best };
        self.history.iter().fold(self.history[0], better)
    }
}

#[cfg(test)]
mod tests {
    use super::recipe::Schedule;
    use super::*;

    /// One cloud a class, far enough apart for a linear classifier.
    fn clouds(n: usize, classes: u32) -> LabelledFeatures {
        let labels: Vec<u32> = (0..n as u32).map(|i| i % classes).collect();
        let noise = |i: usize| ((i * 7919 % 1000) as f32 / 1000.0 - 0.5) * 0.4;
        let row = |(i, &label): (usize, &u32)| {
            (0..8)
                .map(move |d| noise(8 * i + d) + if d as u32 == label { 1.0 } else { 0.0 })
                .collect::<Vec<_>>()
        };
        let features = labels.iter().enumerate().flat_map(row).collect();
        LabelledFeatures { dim: 8, features, labels }
    }

    fn train(recipe: &ProbeRecipe, threads: usize, seed: u64) -> Vec<Trial> {
        let (train, val) = (clouds(900, 6), clouds(300, 6));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| probe(recipe, &Examples::Cached(&train), &val, 6, seed, |_| Ok(())).unwrap())
    }

    #[test]
    fn both_recipes_learn_what_is_linear() {
        for recipe in [
            ProbeRecipe { epochs: 20, ..ProbeRecipe::sgd() },
            ProbeRecipe { epochs: 60, batch_size: 128, base_lrs: vec![20.0], ..ProbeRecipe::lars() },
        ] {
            for trial in train(&recipe, 2, 3) {
                assert_eq!(trial.last().epoch, recipe.epochs);
                assert_eq!(trial.best().top1, 100.0, "{} {:?}", trial.base_lr, trial.history);
                assert!(trial.last().loss < trial.history[0].loss);
            }
        }
    }

    #[test]
    fn threads_change_nothing_and_seeds_do() {
        let recipe = ProbeRecipe { epochs: 3, schedule: Schedule::Steps, ..ProbeRecipe::sgd() };
        let histories = |threads, seed| train(&recipe, threads, seed).into_iter().map(|trial| trial.history);
        assert!(histories(1, 3).eq(histories(5, 3)));
        assert!(histories(1, 3).ne(histories(1, 4)));
    }

    #[test]
    fn a_probe_that_diverges_says_so() {
        let mut train = clouds(256, 2);
        train.features[5] = f32::INFINITY;
        let (recipe, examples) = (ProbeRecipe::sgd(), Examples::Cached(&train));
        let error = probe(&recipe, &examples, &clouds(10, 2), 2, 0, |_| Ok(())).err().unwrap();
        assert!(error.to_string().contains("the probe diverged: its loss is"), "{error}");
        // A rate beyond f32, in the only step.
        let recipe = ProbeRecipe { epochs: 1, batch_size: 10, base_lrs: vec![1e42], ..ProbeRecipe::sgd() };
        let set = clouds(10, 2);
        let error = probe(&recipe, &Examples::Cached(&set), &set, 2, 0, |_| Ok(())).err().unwrap();
        assert!(error.to_string().contains("its weights are not finite after epoch 1"), "{error}");
    }
}
