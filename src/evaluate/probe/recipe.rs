//! How a probe is trained: the two recipes of the released codes.

use std::fmt;

use serde::Serialize;

use crate::console::counted;

/// A probe's recipe. There is no weight decay in either.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeRecipe {
    /// How the gradient becomes a step.
    pub optimizer: ProbeOptimizer,
    /// Passes over the training features.
    pub epochs: u64,
    /// Images a step; the learning rate follows it.
    pub batch_size: usize,
    /// Learning rates at a batch of 256; a classifier is trained at each.
    pub base_lrs: Vec<f64>,
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
    /// Momentum SGD: 100 epochs, batch 256, learning rates 30, 3 and 0.3, cosine
    Sgd,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// A cosine to 0
    Cosine,
    /// A tenth after 60 % and a hundredth after 80 % of the epochs
    Steps,
}

impl ProbeRecipe {
    /// ImageNet (Chen & He 2021, appendix A; `facebookresearch/simsiam`, whose 0.1 stands where the paper's text has 0.02).
    pub fn lars() -> Self {
        Self {
            optimizer: ProbeOptimizer::Lars,
            epochs: 90,
            batch_size: 4096,
            base_lrs: vec![0.1],
            schedule: Schedule::Cosine,
            momentum: 0.9,
        }
    }

    /// CIFAR-10 (Chen & He 2021, appendix D), and MoCo's for ImageNet, whose rate is 30. How large a rate serves best
    /// follows from the features' norm, which differs from encoder to encoder, so two smaller ones are tried as well.
    pub fn sgd() -> Self {
        Self {
            optimizer: ProbeOptimizer::Sgd,
            epochs: 100,
            batch_size: 256,
            base_lrs: vec![30.0, 3.0, 0.3],
            ..Self::lars()
        }
    }

    /// The recipe as a part of a file's name; of many learning rates, the first and how many there are.
    pub fn slug(&self) -> String {
        let Self { epochs, batch_size, base_lrs, .. } = self;
        let rates = match &base_lrs[..] {
            [first, .., _] if base_lrs.len() > 4 => format!("{first}-of-{}", base_lrs.len()),
            rates => rates.iter().map(f64::to_string).collect::<Vec<_>>().join("+"),
        };
        let (optimizer, schedule) = (self.optimizer.name().to_lowercase(), self.schedule.name());
        format!("{optimizer}-e{epochs}-b{batch_size}-lr{rates}-{schedule}")
    }

    /// Learning rate over base rate in an epoch, from 0; it changes with the epoch, as in the released codes.
    pub fn lr_factor(&self, epoch: u64) -> f64 {
        let progress = epoch as f64 / self.epochs as f64;
        let factor = match self.schedule {
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Schedule::Steps if progress < 0.6 => 1.0,
            Schedule::Steps if progress < 0.8 => 0.1,
            Schedule::Steps => 0.01,
        };
        factor * self.batch_size as f64 / 256.0
    }
}

impl ProbeOptimizer {
    fn name(self) -> &'static str {
        match self {
            Self::Lars => "LARS",
            Self::Sgd => "SGD",
        }
    }
}

impl Schedule {
    fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Steps => "steps",
        }
    }
}

impl fmt::Display for ProbeRecipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epochs, batch_size, base_lrs, .. } = self;
        let (optimizer, schedule) = (self.optimizer.name(), self.schedule.name());
        let rates = base_lrs.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        write!(
            f,
            "{optimizer}, {}, batch {batch_size}, learning rate {rates} at 256, {schedule}",
            counted(*epochs, "epoch")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_a_part_of_a_files_name() {
        assert_eq!(ProbeRecipe::lars().slug(), "lars-e90-b4096-lr0.1-cosine");
        assert_eq!(ProbeRecipe::sgd().slug(), "sgd-e100-b256-lr30+3+0.3-cosine");
        let many = ProbeRecipe { base_lrs: vec![0.5; 9], ..ProbeRecipe::sgd() };
        assert_eq!(many.slug(), "sgd-e100-b256-lr0.5-of-9-cosine");
    }

    #[test]
    fn rates_follow_the_batch_and_fall_with_the_epoch() {
        let lars = ProbeRecipe::lars();
        assert_eq!((lars.lr_factor(0), lars.lr_factor(45)), (16.0, 8.0));
        assert!(lars.lr_factor(89) > 0.0 && lars.lr_factor(89) < 0.01);
        let steps = ProbeRecipe { schedule: Schedule::Steps, ..ProbeRecipe::sgd() };
        let factors = [0, 59, 60, 79, 80, 99].map(|epoch| steps.lr_factor(epoch));
        assert_eq!(factors, [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
    }
}
