//! The linear probe: a linear classifier on features that no longer change (Chen & He 2021, section 3 and appendix D).
//!
//! - [`recipe`]: how it is trained; [`examples`]: on what.
//! - [`head`]: softmax regression and its gradient; [`optimizer`]: SGD and LARS.

pub mod examples;
pub mod head;
pub mod optimizer;
pub mod recipe;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use serde::Serialize;

use self::examples::Examples;
use self::head::Head;
use self::optimizer::Optimizer;
use self::recipe::ProbeRecipe;
use super::features::LabelledFeatures;
use super::scores::{Verdict, accuracy};
use crate::progress::Mean;

/// A trained probe's verdicts and how they came about.
pub struct ProbeOutcome {
    /// On the validation features, after the last epoch.
    pub verdicts: Vec<Verdict>,
    /// One entry an epoch.
    pub history: Vec<ProbeEpoch>,
}

/// What an epoch of the probe came to.
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

impl ProbeOutcome {
    /// The epoch with the highest top-1 accuracy, the first of equals.
    pub fn best(&self) -> ProbeEpoch {
        let better = |best: ProbeEpoch, epoch: ProbeEpoch| if epoch.top1 > best.top1 { epoch } else { best };
        self.history.iter().copied().reduce(better).expect("a probe trains for at least one epoch")
    }
}

/// Trains a classifier of `classes` classes on `examples`, and judges it on `val` after each epoch.
///
/// The result is a function of features, recipe and seed: the same for any number of threads.
///
/// # Errors
/// If examples cannot be had, or the loss is no longer a number.
pub fn probe(
    recipe: &ProbeRecipe,
    examples: &Examples<'_>,
    val: &LabelledFeatures,
    classes: usize,
    seed: u64,
    bar: &ProgressBar,
) -> Result<ProbeOutcome> {
    let mut head = Head::new(val.dim, classes, seed);
    let mut optimizer = Optimizer::new(recipe, &head);
    let mut outcome = ProbeOutcome { verdicts: Vec::new(), history: Vec::new() };
    for epoch in 0..recipe.epochs {
        let (lr, mut losses) = (recipe.lr(epoch), Mean::default());
        examples.for_each_batch(epoch, recipe.batch_size, seed, &mut |features, labels| {
            let (loss, gradient) = head.loss(features, labels);
            ensure!(
                loss.is_finite(),
                "the probe diverged: its loss is {loss} in epoch {}; try a smaller --probe-lr than {}",
                epoch + 1,
                recipe.base_lr
            );
            losses.add(loss);
            optimizer.update(&mut head, gradient, lr);
            Ok(())
        })?;
        outcome.verdicts = head.judge(val);
        let (top1, top5) = (accuracy(&outcome.verdicts, 1), accuracy(&outcome.verdicts, 5));
        let loss = losses.take().expect("the batch is no larger than the data, so there was a step");
        outcome.history.push(ProbeEpoch { epoch: epoch + 1, loss, top1, top5 });
        bar.inc(1);
        bar.set_message(format!("loss {loss:.4}, top-1 {top1:.2} %"));
    }
    Ok(outcome)
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

    fn train(recipe: &ProbeRecipe, threads: usize, seed: u64) -> ProbeOutcome {
        let (train, val) = (clouds(900, 6), clouds(300, 6));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let examples = Examples::Cached(&train);
        pool.install(|| probe(recipe, &examples, &val, 6, seed, &ProgressBar::hidden()).unwrap())
    }

    #[test]
    fn both_recipes_learn_what_is_linear() {
        for recipe in [
            ProbeRecipe { epochs: 20, base_lr: 3.0, ..ProbeRecipe::sgd() },
            ProbeRecipe { epochs: 60, batch_size: 128, base_lr: 20.0, ..ProbeRecipe::lars() },
        ] {
            let outcome = train(&recipe, 2, 3);
            assert_eq!(outcome.history.len() as u64, recipe.epochs);
            assert_eq!(outcome.best().top1, 100.0, "{recipe:?}");
            assert!(outcome.history.last().unwrap().loss < outcome.history[0].loss);
        }
    }

    #[test]
    fn threads_change_nothing_and_seeds_do() {
        let recipe = ProbeRecipe { epochs: 3, schedule: Schedule::Steps, ..ProbeRecipe::sgd() };
        let (one, five) = (train(&recipe, 1, 3), train(&recipe, 5, 3));
        assert_eq!((&one.history, &one.verdicts), (&five.history, &five.verdicts));
        assert_ne!(one.history, train(&recipe, 1, 4).history);
    }

    #[test]
    fn a_probe_that_diverges_says_so() {
        let mut train = clouds(256, 2);
        train.features[5] = f32::INFINITY;
        let (recipe, examples) = (ProbeRecipe::sgd(), Examples::Cached(&train));
        let error = probe(&recipe, &examples, &clouds(10, 2), 2, 0, &ProgressBar::hidden()).err().unwrap();
        assert!(error.to_string().contains("the probe diverged: its loss is"), "{error}");
    }
}
