//! Describes a method, so that other code needs no method's name.

use std::collections::BTreeMap;

use super::{Method, Similarity, Symmetry};
use crate::backend::Backend;
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, HeadNorm};
use crate::init::InitRng;

/// Everything about a method but its training pass, which is its [`Method`].
pub(super) trait Kind {
    /// Its name on the command line.
    const NAME: &'static str;
    /// A one-line description with its source.
    const ABOUT: &'static str;
    /// Top-1 of a linear probe on ImageNet after 100 epochs, if it is in table 4 of Chen & He 2021.
    const REPORTED: &'static str = "";
    /// Keys of the shared settings that it accepts. All methods accept depth and batch norm of the projector.
    const TAKES: &'static [&'static str] = &[];
    /// Settings that only this method has.
    const OWN: &'static [OwnSetting] = &[];
    /// The numbers of channels of the projection `z` that it is compiled for.
    const DIMS: &'static [usize];
    /// Whether parameters under `prototypes.` rest in the first epoch.
    const PROTOTYPES_REST_AT_FIRST: bool = false;

    /// Its authors' settings, for data like ImageNet or for small images like CIFAR-10.
    fn defaults(scale: Scale) -> Defaults;

    /// Rejects contradictory settings with a sentence that names the flags.
    fn check(settings: &Settings) -> Result<(), &'static str> {
        let _ = settings;
        Ok(())
    }

    /// The usual remedies for a collapse of its outputs, and a paper to read.
    fn collapse_help(settings: &Settings) -> CollapseHelp;

    /// The method on an encoder.
    ///
    /// # Panics
    /// If the settings name a depth or a width that is not compiled.
    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>>;
}

/// The scale of images and data that a recipe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Like ImageNet.
    Large,
    /// Like CIFAR-10.
    Small,
}

/// The settings of a method's authors. `None`: the preset's value, or not applicable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// Layers of the projector.
    pub projector_layers: Option<usize>,
    /// Where the heads have batch norm.
    pub norm: HeadNorm,
    /// Channels of the projection.
    pub dim: usize,
    /// Whether the predictor's learning rate follows that of the rest.
    pub predictor_decays: bool,
    /// Learning rate of SGD at a batch of 256.
    pub base_lr: Option<f64>,
    /// Whether LARS is its default optimiser: its authors use it, and SGD does not train it well.
    pub lars: bool,
    /// Whether residual blocks start as the identity.
    pub zero_init_residual: bool,
    /// Temperature of the loss's softmax.
    pub temperature: Option<f64>,
    /// Momentum of a moving average.
    pub target_momentum: Option<f64>,
    /// Number of keys in the queue.
    pub queue: Option<usize>,
}

impl Defaults {
    /// Of a relative of SimSiam: two layers of projector, batch norm in their hidden layers. On small images the field's
    /// benchmarks train all of them with a rate of 0.06 at a batch of 128.
    pub(super) fn relative(scale: Scale, dim: usize) -> Self {
        Self {
            projector_layers: Some(2),
            norm: HeadNorm::Hidden,
            dim,
            predictor_decays: true,
            base_lr: (scale == Scale::Small).then_some(0.12),
            lars: false,
            zero_init_residual: true,
            temperature: None,
            target_momentum: None,
            queue: None,
        }
    }
}

/// A numeric setting that only one method has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnSetting {
    /// Its key.
    pub key: &'static str,
    /// Its description.
    pub about: &'static str,
    /// Its authors' value.
    pub default: f64,
    /// The allowed minimum and maximum.
    pub range: (f64, f64),
}

/// Run-time settings of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Projector and predictor.
    pub heads: HeadConfig,
    /// Channels of the projection.
    pub dim: usize,
    /// Whether there is a predictor.
    pub predictor: bool,
    /// Whether the targets are constants.
    pub stop_gradient: bool,
    /// The similarity of predictions and targets.
    pub similarity: Similarity,
    /// Which views predict which.
    pub symmetry: Symmetry,
    /// Height and width of each view, if the method takes views of several sizes and they are listed.
    pub view_sizes: Option<Vec<usize>>,
    /// Number of images in the data, if the target of each is the average of its projections.
    pub average_of: Option<usize>,
    /// Steps after which the target network is renewed.
    pub copy_every: Option<u64>,
    /// Momentum of a moving average.
    pub target_momentum: Option<f64>,
    /// Temperature of the loss's softmax.
    pub temperature: Option<f64>,
    /// Number of keys in the queue.
    pub queue: Option<usize>,
    /// The method's own settings, by key.
    pub own: BTreeMap<String, f64>,
}

impl Settings {
    /// SimSiam's settings, with defaults for those that it does not accept.
    pub fn new(projector_layers: usize, dim: usize) -> Self {
        Self {
            heads: HeadConfig { projector_layers, norm: HeadNorm::Default },
            dim,
            predictor: true,
            stop_gradient: true,
            similarity: Similarity::Cosine,
            symmetry: Symmetry::Symmetric,
            view_sizes: None,
            average_of: None,
            copy_every: None,
            target_momentum: None,
            temperature: None,
            queue: None,
            own: BTreeMap::new(),
        }
    }

    /// One of the method's own numbers: its default where it is not set.
    pub(super) fn own(&self, setting: &OwnSetting) -> f32 {
        self.own.get(setting.key).copied().unwrap_or(setting.default) as f32
    }

    /// # Panics
    /// If there is none.
    pub(super) fn temperature(&self) -> f32 {
        self.temperature.expect("a loss with a softmax has a temperature") as f32
    }

    /// # Panics
    /// If there is none.
    pub(super) fn target_momentum(&self) -> f64 {
        self.target_momentum.expect("a moving average has a momentum")
    }
}

/// Help for a collapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollapseHelp {
    /// The usual remedies.
    pub try_this: &'static str,
    /// A paper to read.
    pub paper: &'static str,
}

/// The table of methods: the enum of their names, and for each what its [`Kind`] says.
macro_rules! methods {
    ($($(#[$about:meta])* $name:ident: $kind:ty),+ $(,)?) => {
        /// A method by its name.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum MethodName {
            $($(#[$about])* $name,)+
        }

        impl MethodName {
            /// All methods, SimSiam first.
            pub const ALL: &[MethodName] = &[$(MethodName::$name),+];

            /// The name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => <$kind>::NAME,)+ }
            }

            /// A one-line description with its source.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => <$kind>::ABOUT,)+ }
            }

            /// Top-1 of a linear probe on ImageNet after 100 epochs, if it is in table 4 of Chen & He 2021; otherwise
            /// empty.
            pub fn reported(self) -> &'static str {
                match self { $(Self::$name => <$kind>::REPORTED,)+ }
            }

            /// Keys of the shared settings that it accepts.
            pub fn takes(self) -> &'static [&'static str] {
                match self { $(Self::$name => <$kind>::TAKES,)+ }
            }

            /// Settings that only this method has.
            pub fn own_settings(self) -> &'static [OwnSetting] {
                match self { $(Self::$name => <$kind>::OWN,)+ }
            }

            /// Channels of the projection that it is compiled for.
            pub fn dims(self) -> &'static [usize] {
                match self { $(Self::$name => <$kind>::DIMS,)+ }
            }

            /// Whether parameters under `prototypes.` rest in the first epoch.
            pub fn prototypes_rest_at_first(self) -> bool {
                match self { $(Self::$name => <$kind>::PROTOTYPES_REST_AT_FIRST,)+ }
            }

            /// Its authors' settings.
            pub fn defaults(self, scale: Scale) -> Defaults {
                match self { $(Self::$name => <$kind>::defaults(scale),)+ }
            }

            /// Rejects contradictory settings.
            ///
            /// # Errors
            /// If they do: a sentence that names the flags.
            pub fn check(self, settings: &Settings) -> Result<(), &'static str> {
                match self { $(Self::$name => <$kind>::check(settings),)+ }
            }

            /// The usual remedies for a collapse of its outputs, and a paper to read.
            pub fn collapse_help(self, settings: &Settings) -> CollapseHelp {
                match self { $(Self::$name => <$kind>::collapse_help(settings),)+ }
            }

            /// The method on an encoder.
            pub(crate) fn on<const FEATURES: usize, D: Backend>(
                self,
                encoder: $crate::encoders::Backbone<FEATURES, D>,
                dev: &D,
                settings: &Settings,
                rng: &$crate::init::InitRng,
            ) -> Box<dyn Method<D>> {
                match self { $(Self::$name => <$kind>::on(encoder, dev, settings, rng),)+ }
            }
        }
    };
}
pub(super) use methods;

impl std::fmt::Display for super::MethodName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for super::MethodName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|method| method.name() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|method| method.name()).collect();
            format!("unknown method `{text}`, expected one of {}", names.join(", "))
        })
    }
}

#[cfg(feature = "clap")]
impl clap::ValueEnum for super::MethodName {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()).help(self.about()))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for super::MethodName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for super::MethodName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}
