//! How the numbers of a view lie in memory.

use half::f16;
use serde::{Deserialize, Serialize};

/// What a view is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Where a pixel's channels are.
    pub layout: Layout,
    /// The type of its numbers.
    pub dtype: Dtype,
}

/// The order of a view's dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Three planes of `size x size`: channels first, as PyTorch has them.
    #[default]
    Nchw,
    /// `size x size` pixels of three numbers: channels last, as JAX and image libraries have them.
    Nhwc,
}

/// The type of a view's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// The pixels as they are, 0 to 255; not normalised.
    U8,
    /// Normalised, rounded to half precision (to nearest, ties to even).
    F16,
    /// Normalised.
    #[default]
    F32,
}

/// The numbers of one view, to be changed.
#[derive(Debug)]
pub enum PixelsMut<'a> {
    /// Of a batch of bytes.
    U8(&'a mut [u8]),
    /// Of a batch of half-precision numbers.
    F16(&'a mut [f16]),
    /// Of a batch of single-precision numbers.
    F32(&'a mut [f32]),
}

impl Dtype {
    /// Size of one number, in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}
