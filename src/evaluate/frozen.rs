//! A network in evaluation mode as a plain function from pixels to features.

use std::fmt;

use serde::Serialize;

/// Whose output is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureLayer {
    /// The encoder's pooled output: what the papers evaluate.
    Backbone,
    /// The projector's output `z`.
    Projector,
}

impl fmt::Display for FeatureLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backbone => "backbone",
            Self::Projector => "projector",
        })
    }
}

/// A network that no longer learns: batch norm normalises by its running statistics.
pub struct FrozenEncoder<'a> {
    dim: usize,
    forward: Forward<'a>,
}

type Forward<'a> = Box<dyn Fn(&[f32]) -> Vec<f32> + 'a>;

impl<'a> FrozenEncoder<'a> {
    /// A network whose `forward` turns images, `batch x 3 x size x size`, into features, `batch x dim`.
    pub fn new(dim: usize, forward: impl Fn(&[f32]) -> Vec<f32> + 'a) -> Self {
        Self { dim, forward: Box::new(forward) }
    }

    /// Length of one feature.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The features, `batch x dim`, of images, `batch x 3 x size x size`.
    pub fn forward(&self, images: &[f32]) -> Vec<f32> {
        (self.forward)(images)
    }
}
