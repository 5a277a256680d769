//! Projection and prediction heads: linear layers, each with batch norm or a bias.

mod dense;
pub use dense::Dense;

mod projector;
pub use projector::Projector;

mod predictor;
pub use predictor::Predictor;

/// Which layers of the heads have batch norm (Chen & He 2021, table 3). The others have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum HeadNorm {
    /// None.
    None,
    /// The hidden layers.
    Hidden,
    /// The hidden layers and the projector's output, there without scale and shift: SimSiam.
    Default,
    /// Also the predictor's output: unstable.
    All,
}

impl HeadNorm {
    fn hidden(self) -> bool {
        self != Self::None
    }

    fn projector_output(self) -> bool {
        matches!(self, Self::Default | Self::All)
    }

    fn predictor_output(self) -> bool {
        self == Self::All
    }
}

/// Run-time settings of the heads. Their widths are part of the types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadConfig {
    /// Layers of the projector, 2 or 3.
    pub projector_layers: usize,
    /// Which layers have batch norm.
    pub norm: HeadNorm,
}
