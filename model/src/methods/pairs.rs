use crate::backend::Backend;
use crate::objective::{Loss, TargetGradient, channel_cross_entropy, negative_cosine};
use crate::tensors::{Features, Taped};

/// The similarity of a prediction and a target (Chen & He 2021, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Similarity {
    /// The cosine similarity.
    Cosine,
    /// The cross-entropy of their softmax over channels.
    CrossEntropy,
}

impl Similarity {
    /// The loss of one pair, lower for more similar.
    pub fn loss<const DIM: usize, D: Backend>(
        self,
        p: Features<D, DIM, Taped<D>>,
        z: Features<D, DIM>,
        target_gradient: TargetGradient,
    ) -> Loss<D> {
        match self {
            Self::Cosine => negative_cosine(p, z, target_gradient),
            Self::CrossEntropy => channel_cross_entropy(p, z, target_gradient),
        }
    }
}

/// Which views predict which (section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Symmetry {
    /// Each of two views predicts the other.
    Symmetric,
    /// The first predicts the second.
    Asymmetric,
    /// Two pairs of views with one asymmetric loss each: as many predictions as in the symmetric loss.
    #[cfg_attr(feature = "clap", value(name = "asymmetric-2x"))]
    #[cfg_attr(feature = "serde", serde(rename = "asymmetric-2x"))]
    AsymmetricTwice,
}

impl Symmetry {
    /// Pairs of (predicting view, predicted view).
    pub fn pairs(self) -> &'static [(usize, usize)] {
        match self {
            Self::Symmetric => &[(0, 1), (1, 0)],
            Self::Asymmetric => &[(0, 1)],
            Self::AsymmetricTwice => &[(0, 1), (2, 3)],
        }
    }

    /// Number of views per image.
    pub fn views(self) -> usize {
        if self == Self::AsymmetricTwice { 4 } else { 2 }
    }
}

/// The mean of the pairs' losses.
pub(super) fn mean<D: Backend>(losses: impl ExactSizeIterator<Item = Loss<D>>) -> Loss<D> {
    let share = 1.0 / losses.len() as f32;
    losses.reduce(|a, b| a + b).expect("there is a pair") * share
}
