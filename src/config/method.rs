//! The method and its ablations: what can be chosen, and what each method begins with.

use serde::{Deserialize, Serialize};
use simsiam_model::collective::SumOrder;
use simsiam_model::heads::HeadConfig;
use simsiam_model::init::InitRng;
use simsiam_model::methods::{CollapseHelp, MethodName, Scale, Settings};
use simsiam_model::network::{Network, Networks};
use simsiam_pipeline::augment::ViewGroup;

use super::{Overrides, PredictorLr, Preset, TrainConfig};

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

/// The targets of SimSiam's predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The other view's projection.
    Online,
    /// A moving average of the image's projections over the epochs (section 5).
    MovingAverage,
}

/// How long section 5's alternating optimisation keeps its target network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "toml::Value", try_from = "toml::Value")]
pub enum AlternateSteps {
    /// This many steps.
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
    #[must_use]
    pub(super) fn for_method(self, method: MethodName) -> Self {
        let defaults = method.defaults(self.scale());
        let own = method.own_settings().iter();
        Self {
            method,
            projector_layers: defaults.projector_layers.unwrap_or(self.projector_layers),
            projector_dim: if method.takes().contains(&"projector_dim") {
                self.projector_dim
            } else {
                defaults.dim
            },
            mlp_bn: defaults.norm,
            predictor_lr: if defaults.predictor_decays { PredictorLr::Decay } else { PredictorLr::Constant },
            // The demo has a rate of its own, for few steps.
            base_lr: defaults.base_lr.filter(|_| self.preset != Preset::Demo).unwrap_or(self.base_lr),
            zero_init_residual: defaults.zero_init_residual,
            temperature: defaults.temperature,
            target_momentum: defaults.target_momentum,
            queue: defaults.queue,
            method_settings: own.map(|own| (own.key.to_owned(), own.default)).collect(),
            ..self
        }
    }

    /// The size of the data that the preset is for.
    pub(super) fn scale(&self) -> Scale {
        if self.preset == Preset::Imagenet { Scale::Large } else { Scale::Small }
    }

    /// Fills in what follows from other settings: `--target moving-average` is the paper's variant without predictor.
    pub(super) fn resolve_method(&mut self, overrides: &Overrides) {
        if self.target == Target::MovingAverage {
            self.target_momentum = self.target_momentum.or(Some(0.8));
            if overrides.target.is_some() && overrides.predictor.is_none() {
                self.predictor = Predictor::None;
            }
        }
    }

    /// Where to read of a collapse of this method, and what usually helps.
    pub fn collapse_help(&self) -> String {
        let CollapseHelp { try_this, paper } = self.method.collapse_help(&self.settings(0, 1));
        format!("what usually helps: {try_this} ({paper})")
    }

    /// Views of each image.
    pub fn views(&self) -> usize {
        self.recipe.views_of_an_image().unwrap_or(self.symmetry.views())
    }

    /// The network at its beginning, for `images` of data in `steps_per_epoch` batches.
    pub fn network<D: Networks>(&self, dev: &D, images: usize, steps_per_epoch: u64) -> Network<D> {
        let rng = InitRng::new(self.seed).zero_init_residual(self.zero_init_residual);
        let settings = self.settings(images, steps_per_epoch);
        dev.network(self.arch, self.recipe.size, self.method, &settings, &rng)
    }

    /// The order in which sums over a batch are added up.
    pub fn sum_order(&self) -> SumOrder {
        if self.deterministic { SumOrder::Fixed } else { SumOrder::Any }
    }

    /// What is chosen of the method, for `images` of data in `steps_per_epoch` batches.
    pub(super) fn settings(&self, images: usize, steps_per_epoch: u64) -> Settings {
        Settings {
            heads: HeadConfig { projector_layers: self.projector_layers, norm: self.mlp_bn },
            dim: self.projector_dim,
            predictor: self.predictor != Predictor::None,
            stop_gradient: self.stop_gradient,
            similarity: self.similarity,
            symmetry: self.symmetry,
            view_sizes: (!self.recipe.views.is_empty())
                .then(|| ViewGroup::sizes(&self.view_groups()).collect()),
            average_of: (self.target == Target::MovingAverage).then_some(images),
            copy_every: self.alternate_steps.map(|steps| match steps {
                AlternateSteps::Steps(every) => every,
                AlternateSteps::Epoch => steps_per_epoch,
            }),
            target_momentum: self.target_momentum,
            temperature: self.temperature,
            queue: self.queue,
            own: self.method_settings.clone(),
        }
    }
}
