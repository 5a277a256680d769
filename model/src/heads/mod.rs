//! Projection and prediction heads: linear layers, each followed by batch norm or with a bias instead.

mod dense;
pub use dense::Dense;

mod projector;
pub use projector::Projector;

mod predictor;
pub use predictor::Predictor;

/// Which layers of the heads have batch norm (Chen & He 2021, table 3). Those that have none have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum HeadNorm {
    /// None.
    None,
    /// The hidden ones.
    Hidden,
    /// The hidden ones and the projector's output, there without scale and shift: SimSiam.
    Default,
    /// The predictor's output too: unstable.
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

/// What of the heads is chosen when a program runs; their widths are types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadConfig {
    /// Layers of the projector, 2 or 3.
    pub projector_layers: usize,
    /// Where there is batch norm.
    pub norm: HeadNorm,
}
