//! Why bytes did not become an image.

use std::fmt;

use thiserror::Error;

use super::ImageFormat;

/// Why bytes did not become an image. Messages name what was found, not where: the caller knows shard and key.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DecodeError {
    /// No known format starts like this.
    #[error("not an image (starts with {0})")]
    NotAnImage(FirstBytes),
    /// A format of images that is known by its first bytes, and not read.
    #[error("{0}, which is not read; convert it to JPEG or PNG")]
    OtherImage(&'static str),
    /// A file that is known by its first bytes, and holds no image.
    #[error("{0}, not an image")]
    OtherFile(&'static str),
    /// There are no bytes at all.
    #[error("empty file")]
    Empty,
    /// The file ends before the image does.
    #[error("truncated {0}")]
    Truncated(ImageFormat),
    /// The format is known, this variant of it is not read.
    #[error("unsupported {format}: {reason}")]
    Unsupported {
        /// Format of the file.
        format: ImageFormat,
        /// The feature that is not read.
        reason: String,
    },
    /// The bytes contradict their format.
    #[error("malformed {format}: {reason}")]
    Malformed {
        /// Format of the file.
        format: ImageFormat,
        /// What the decoder found.
        reason: String,
    },
    /// Another decoder makes something else of the file: see [`Decoder::verify`](super::Decoder::verify).
    #[error(
        "two decoders differ on this {format}, in {percent:.1} % of its values by more than rounding explains"
    )]
    Disputed {
        /// Format of the file.
        format: ImageFormat,
        /// How much of it differs.
        percent: f64,
    },
    /// The header gives no pixels.
    #[error("zero-size {format} ({width} x {height})")]
    ZeroSize {
        /// Format of the file.
        format: ImageFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The header asks for more pixels than [`DecodeLimits`](super::DecodeLimits) allows.
    #[error("{format} too large ({width} x {height} pixels, limit {max_pixels} in all)")]
    TooLarge {
        /// Format of the file.
        format: ImageFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit that was in force.
        max_pixels: u64,
    },
}

/// At most the first four bytes of a file, shown as `89 50 4e 47`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstBytes {
    bytes: [u8; 4],
    len: usize,
}

impl FirstBytes {
    pub(super) fn of(file: &[u8]) -> Self {
        let len = file.len().min(4);
        let mut bytes = [0; 4];
        bytes[..len].copy_from_slice(&file[..len]);
        Self { bytes, len }
    }
}

impl fmt::Display for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.bytes[..self.len].iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}
