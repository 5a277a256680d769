//! The optimisers, and what follows from the choice of one.

use serde::{Deserialize, Serialize};
use simsiam_model::{AdamWConfig, LarsConfig, OptimizerConfig, SgdConfig};

use super::TrainConfig;

/// What moves the parameters by their gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// SGD with momentum
    #[default]
    Sgd,
    /// LARS, trust coefficient 0.001 (You et al. 2017); biases and batch norm have neither its ratio nor weight decay
    Lars,
    /// AdamW (Loshchilov & Hutter 2019), betas `momentum` and 0.999, epsilon 1e-8
    Adamw,
}

impl TrainConfig {
    /// The optimiser that the method's authors take, as far as SGD does not serve.
    pub(super) fn own_optimizer(&self) -> Optimizer {
        if self.method.defaults(self.scale()).lars { Optimizer::Lars } else { Optimizer::Sgd }
    }

    /// Rate and weight decay are the preset's for SGD. For LARS they are SimCLR's, for AdamW PyTorch's.
    pub(super) fn for_optimizer(self, optimizer: Optimizer) -> Self {
        let (base_lr, weight_decay) = match optimizer {
            Optimizer::Sgd => (self.base_lr, self.weight_decay),
            Optimizer::Lars => (0.3, 1e-6),
            Optimizer::Adamw => (1e-3, 0.01),
        };
        Self { optimizer, base_lr, weight_decay, ..self }
    }

    /// The optimiser with its settings.
    pub fn optimizer_config(&self) -> OptimizerConfig {
        let Self { momentum, weight_decay, .. } = *self;
        match self.optimizer {
            Optimizer::Sgd => OptimizerConfig::Sgd(SgdConfig {
                momentum: momentum as f32,
                weight_decay: weight_decay as f32,
            }),
            Optimizer::Lars => OptimizerConfig::Lars(LarsConfig {
                momentum: momentum as f32,
                weight_decay: weight_decay as f32,
                trust: 0.001,
            }),
            Optimizer::Adamw => {
                OptimizerConfig::AdamW(AdamWConfig { betas: (momentum, 0.999), epsilon: 1e-8, weight_decay })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Preset};

    #[test]
    fn rate_and_decay_follow_the_optimizer_unless_they_are_named() {
        let resolved = |overrides| TrainConfig::resolve(&overrides).unwrap();
        let of = |optimizer| Overrides {
            optimizer: Some(optimizer),
            preset: Some(Preset::Cifar10),
            ..Overrides::default()
        };
        let found = |config: &TrainConfig| (config.base_lr, config.weight_decay);
        assert_eq!(found(&resolved(of(Optimizer::Sgd))), (0.03, 5e-4));
        assert_eq!(found(&resolved(of(Optimizer::Lars))), (0.3, 1e-6));
        let adamw = resolved(of(Optimizer::Adamw));
        assert_eq!(found(&adamw), (1e-3, 0.01));
        let named = Overrides { base_lr: Some(0.5), ..of(Optimizer::Lars) };
        assert_eq!(found(&resolved(named)), (0.5, 1e-6));

        let saved: Overrides = toml::from_str(&adamw.to_string()).unwrap();
        assert_eq!(resolved(saved), adamw);
        let OptimizerConfig::AdamW(config) = adamw.optimizer_config() else { panic!("{adamw}") };
        assert_eq!((config.betas, config.epsilon, config.weight_decay), ((0.9, 0.999), 1e-8, 0.01));
    }
}
