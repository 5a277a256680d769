//! The method and its ablations: what can be chosen, and what each method begins with.

use std::fmt;

use serde::{Deserialize, Serialize};
use simsiam_model::TargetGradient;
use simsiam_model::heads::{HeadConfig, HeadNorm};
use simsiam_model::init::InitRng;
use simsiam_model::methods::{
    self, ByolConfig, MoCoV2Config, SimClrConfig, SimSiamConfig, SwAvConfig, Targets,
};
use simsiam_model::network::{MethodConfig, Network, Networks};

use super::{Overrides, PredictorLr, Preset, TrainConfig};

/// What an encoder learns by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Stop-gradient and predictor (Chen & He 2021).
    Simsiam,
    /// Momentum target and predictor (Grill et al. 2020).
    Byol,
    /// Contrast within the batch (Chen et al. 2020).
    Simclr,
    /// Contrast with a queue, keys by a momentum encoder (Chen et al. 2020).
    Mocov2,
    /// Codes of prototypes that each view predicts of the other (Caron et al. 2020).
    Swav,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simsiam => "simsiam",
            Self::Byol => "byol",
            Self::Simclr => "simclr",
            Self::Mocov2 => "mocov2",
            Self::Swav => "swav",
        })
    }
}

/// The prediction head `h` (section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Predictor {
    /// Two layers, trained.
    Mlp,
    /// The identity: collapses.
    None,
    /// Two layers with their initial values: does not converge.
    FixedRandom,
}

/// Layers of projector and predictor that have batch norm (table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MlpBn {
    /// None.
    None,
    /// The hidden ones.
    Hidden,
    /// The hidden ones and the projector's output.
    Default,
    /// The predictor's output too.
    All,
}

/// What predictions and targets are compared by (section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Similarity {
    /// The cosine.
    Cosine,
    /// The cross-entropy of their softmax over channels.
    CrossEntropy,
}

/// Which views predict which (section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Symmetry {
    /// Each of two views the other.
    Symmetric,
    /// The first the second.
    Asymmetric,
    /// The first the second, of two pairs for each image.
    #[value(name = "asymmetric-2x")]
    #[serde(rename = "asymmetric-2x")]
    AsymmetricTwice,
}

/// What SimSiam's predictions are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The other view's projection.
    Online,
    /// A moving average of the image's projections over the epochs (section 5).
    MovingAverage,
}

/// How long section 5's alternating optimisation keeps its targets' network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "toml::Value", try_from = "toml::Value")]
pub enum AlternateSteps {
    /// So many steps.
    Steps(u64),
    /// A pass over the data.
    Epoch,
}

impl std::str::FromStr for AlternateSteps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "epoch" => Ok(Self::Epoch),
            _ => match text.parse::<i64>() {
                Ok(steps @ 1..) => Ok(Self::Steps(steps.unsigned_abs())),
                _ => Err(format!("`{text}` is neither `epoch` nor a positive number of steps")),
            },
        }
    }
}

impl TryFrom<toml::Value> for AlternateSteps {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse()
    }
}

impl From<AlternateSteps> for toml::Value {
    fn from(steps: AlternateSteps) -> Self {
        match steps {
            AlternateSteps::Epoch => "epoch".into(),
            AlternateSteps::Steps(steps) => (steps as i64).into(),
        }
    }
}

impl TrainConfig {
    /// This preset's values, as `method` wants them.
    ///
    /// The heads, temperatures and momenta are the papers'. All methods are trained by SGD here; on CIFAR-10 those beside
    /// SimSiam begin with the rate at which the field's benchmarks train them all, 0.06 at a batch of 128.
    #[must_use]
    pub(super) fn for_method(self, method: Method) -> Self {
        if method == Method::Simsiam {
            return self;
        }
        let small = self.preset != Preset::Imagenet;
        let relative = Self {
            method,
            projector_layers: 2,
            mlp_bn: MlpBn::Hidden,
            predictor_lr: PredictorLr::Decay,
            base_lr: if self.preset == Preset::Cifar10 { 0.12 } else { self.base_lr },
            ..self
        };
        match method {
            Method::Simsiam => relative,
            Method::Byol => Self { projector_dim: 256, target_momentum: Some(0.996), ..relative },
            Method::Simclr => Self {
                projector_dim: 128,
                mlp_bn: MlpBn::Default,
                temperature: Some(if small { 0.5 } else { 0.1 }),
                ..relative
            },
            Method::Mocov2 => Self {
                zero_init_residual: false,
                projector_dim: 128,
                mlp_bn: MlpBn::None,
                temperature: Some(0.2),
                target_momentum: Some(if small { 0.99 } else { 0.999 }),
                queue: Some(if small { 4096 } else { 65_536 }),
                ..relative
            },
            Method::Swav => {
                Self { zero_init_residual: false, projector_dim: 128, temperature: Some(0.1), ..relative }
            }
        }
    }

    /// Fills in what follows from other settings: `--target moving-average` is the paper's variant without predictor.
    pub(super) fn settle(&mut self, overrides: &Overrides) {
        if self.target == Target::MovingAverage {
            self.target_momentum = self.target_momentum.or(Some(0.8));
            if overrides.target.is_some() && overrides.predictor.is_none() {
                self.predictor = Predictor::None;
            }
        }
    }

    /// Where to read of a collapse of this method, and what usually helps.
    pub fn collapse_help(&self) -> String {
        let (paper, help) = match self.method {
            Method::Simsiam if !self.stop_gradient => {
                ("Chen & He 2021, section 4.1", "`--stop-gradient true`")
            }
            Method::Simsiam if self.predictor == Predictor::None && self.target == Target::Online => {
                ("Chen & He 2021, section 4.2", "`--predictor mlp`")
            }
            Method::Simsiam => (
                "Chen & He 2021, section 4",
                "a lower `--base-lr`, and batch norm in the heads (`--mlp-bn default`)",
            ),
            Method::Byol => (
                "Grill et al. 2020, section 5",
                "a lower `--base-lr`, `--warmup-epochs`, and a `--target-momentum` nearer to 1",
            ),
            Method::Simclr => (
                "Chen et al. 2020, \"A simple framework\"",
                "a lower `--base-lr`, or a larger `--batch-size`",
            ),
            Method::Mocov2 => (
                "Chen et al. 2020, \"Improved baselines\", and He et al. 2020, section 4.1",
                "a lower `--base-lr`, `--warmup-epochs`, and a `--target-momentum` nearer to 1",
            ),
            Method::Swav => (
                "Caron et al. 2020, section 3",
                "a lower `--base-lr`, `--warmup-epochs`, or a larger `--batch-size`",
            ),
        };
        format!("what usually helps: {help} ({paper})")
    }

    /// Views of each image.
    pub fn views(&self) -> usize {
        methods::Symmetry::from(self.symmetry).views()
    }

    /// The heads.
    fn heads(&self) -> HeadConfig {
        let norm = match self.mlp_bn {
            MlpBn::None => HeadNorm::None,
            MlpBn::Hidden => HeadNorm::Hidden,
            MlpBn::Default => HeadNorm::Default,
            MlpBn::All => HeadNorm::All,
        };
        HeadConfig { projector_layers: self.projector_layers, norm }
    }

    /// The network at its beginning, for `images` of data in `steps_per_epoch` batches.
    pub fn network<D: Networks>(&self, dev: &D, images: usize, steps_per_epoch: u64) -> Network<D> {
        let rng = InitRng::new(self.seed).zero_init_residual(self.zero_init_residual);
        dev.network(self.arch, self.recipe.size, &self.method_config(images, steps_per_epoch), &rng)
    }

    fn method_config(&self, images: usize, steps_per_epoch: u64) -> MethodConfig {
        let heads = self.heads();
        let symmetry = self.symmetry.into();
        match self.method {
            Method::Simsiam => MethodConfig::SimSiam {
                config: SimSiamConfig {
                    heads,
                    predictor: self.predictor != Predictor::None,
                    targets: self.targets(images, steps_per_epoch),
                    similarity: match self.similarity {
                        Similarity::Cosine => methods::Similarity::Cosine,
                        Similarity::CrossEntropy => methods::Similarity::CrossEntropy,
                    },
                    symmetry,
                },
                dim: self.projector_dim,
            },
            Method::Byol => {
                MethodConfig::Byol(ByolConfig { heads, symmetry, momentum: self.momentum_of_target() })
            }
            Method::Simclr => {
                MethodConfig::SimClr(SimClrConfig { heads, temperature: self.softmax_temperature() })
            }
            Method::Mocov2 => MethodConfig::MoCoV2(MoCoV2Config {
                heads,
                symmetry,
                temperature: self.softmax_temperature(),
                queue: self.queue.expect("set with the method"),
                momentum: self.momentum_of_target(),
            }),
            Method::Swav => MethodConfig::SwAv(SwAvConfig {
                heads,
                temperature: self.softmax_temperature(),
                epsilon: 0.05,
                iterations: 3,
            }),
        }
    }

    fn targets(&self, images: usize, steps_per_epoch: u64) -> Targets {
        match (self.target, self.alternate_steps) {
            (Target::MovingAverage, _) => {
                Targets::Average { momentum: self.momentum_of_target() as f32, images }
            }
            (_, Some(AlternateSteps::Steps(every))) => Targets::Copy { every },
            (_, Some(AlternateSteps::Epoch)) => Targets::Copy { every: steps_per_epoch },
            (_, None) if self.stop_gradient => Targets::Online(TargetGradient::Stopped),
            (_, None) => Targets::Online(TargetGradient::Flows),
        }
    }

    fn momentum_of_target(&self) -> f64 {
        self.target_momentum.expect("set with the method or the target")
    }

    fn softmax_temperature(&self) -> f32 {
        self.temperature.expect("set with the method") as f32
    }
}

impl From<Symmetry> for methods::Symmetry {
    fn from(symmetry: Symmetry) -> Self {
        match symmetry {
            Symmetry::Symmetric => Self::Symmetric,
            Symmetry::Asymmetric => Self::Asymmetric,
            Symmetry::AsymmetricTwice => Self::AsymmetricTwice,
        }
    }
}
