//! Why an image could not be decoded.

use std::fmt;

use thiserror::Error;

use super::ImageFormat;

/// Why an image could not be decoded. Messages do not name the place; the caller knows shard and key.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DecodeError {
    /// The first bytes match no known format.
    #[error("not an image (starts with {0})")]
    NotAnImage(FirstBytes),
    /// An image format that is recognised but not supported.
    #[error("{0}, which is not supported; convert it to JPEG or PNG")]
    OtherImage(&'static str),
    /// A file of a recognised type that is not an image.
    #[error("{0}, not an image")]
    OtherFile(&'static str),
    /// The file is empty.
    #[error("empty file")]
    Empty,
    /// The file ends before the image does.
    #[error("truncated {0}")]
    Truncated(ImageFormat),
    /// A variant of a supported format that is not supported.
    #[error("unsupported {format}: {reason}")]
    Unsupported {
        /// Format of the file.
        format: ImageFormat,
        /// The unsupported feature.
        reason: String,
    },
    /// The file violates its format.
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
        /// Percentage of the values that differ.
        percent: f64,
    },
    /// The header declares an image without pixels.
    #[error("zero-size {format} ({width} x {height})")]
    ZeroSize {
        /// Format of the file.
        format: ImageFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The header declares more pixels than [`DecodeLimits`](super::DecodeLimits) allows.
    #[error("{format} too large ({width} x {height} pixels, limit {max_pixels} in all)")]
    TooLarge {
        /// Format of the file.
        format: ImageFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
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
