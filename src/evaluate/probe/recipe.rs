//! How a probe is trained: the two recipes of the released codes.

use std::fmt;

use serde::Serialize;

/// A probe's recipe. There is no weight decay in either.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ProbeRecipe {
    /// How the gradient becomes a step.
    pub optimizer: ProbeOptimizer,
    /// Passes over the training features.
    pub epochs: u64,
    /// Images a step; the learning rate follows it.
    pub batch_size: usize,
    /// Learning rate at a batch of 256.
    pub base_lr: f64,
    /// How the learning rate falls from epoch to epoch.
    pub schedule: Schedule,
    /// Momentum.
    pub momentum: f32,
}

/// How the gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeOptimizer {
    /// Layer-wise adaptive rates (You et al. 2017): 90 epochs, batch 4096, learning rate 0.1, cosine
    Lars,
    /// Momentum SGD: 100 epochs, batch 256, learning rate 30, cosine
    Sgd,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// As a cosine to 0
    Cosine,
    /// To a tenth after 60 % and to a hundredth after 80 % of the epochs
    Steps,
}

impl ProbeRecipe {
    /// ImageNet (Chen & He 2021, appendix A; `facebookresearch/simsiam`, whose 0.1 stands where the paper's text has 0.02).
    pub fn lars() -> Self {
        Self {
            optimizer: ProbeOptimizer::Lars,
            epochs: 90,
            batch_size: 4096,
            base_lr: 0.1,
            schedule: Schedule::Cosine,
            momentum: 0.9,
        }
    }

    /// CIFAR-10 (Chen & He 2021, appendix D), and MoCo's for ImageNet.
    pub fn sgd() -> Self {
        Self { optimizer: ProbeOptimizer::Sgd, epochs: 100, batch_size: 256, base_lr: 30.0, ..Self::lars() }
    }

    /// The learning rate in an epoch, from 0; it changes with the epoch, as in the released codes.
    pub fn lr(&self, epoch: u64) -> f32 {
        let progress = epoch as f64 / self.epochs as f64;
        let factor = match self.schedule {
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Schedule::Steps if progress < 0.6 => 1.0,
            Schedule::Steps if progress < 0.8 => 0.1,
            Schedule::Steps => 0.01,
        };
        (self.base_lr * self.batch_size as f64 / 256.0 * factor) as f32
    }
}

impl fmt::Display for ProbeRecipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epochs, batch_size, base_lr, .. } = self;
        let optimizer = match self.optimizer {
            ProbeOptimizer::Lars => "LARS",
            ProbeOptimizer::Sgd => "SGD",
        };
        let schedule = match self.schedule {
            Schedule::Cosine => "cosine",
            Schedule::Steps => "steps",
        };
        write!(
            f,
            "{optimizer}, {epochs} epochs, batch {batch_size}, learning rate {base_lr} at 256, {schedule}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_batch_and_fall_with_the_epoch() {
        let lars = ProbeRecipe::lars();
        assert_eq!((lars.lr(0), lars.lr(45)), (1.6, 0.8));
        assert!(lars.lr(89) > 0.0 && lars.lr(89) < 0.001);
        let steps = ProbeRecipe { schedule: Schedule::Steps, ..ProbeRecipe::sgd() };
        assert_eq!([0, 59, 60, 79, 80, 99].map(|epoch| steps.lr(epoch)), [30.0, 30.0, 3.0, 3.0, 0.3, 0.3]);
    }
}
