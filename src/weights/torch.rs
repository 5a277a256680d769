//! safetensors with torchvision's parameter names.
//!
//! `torchvision.models.resnet50().load_state_dict(load_file(path), strict=False)` misses only `fc.weight` and `fc.bias`.

use anyhow::Result;

use super::EncoderWeights;
use crate::tensor_file;

/// The bytes of the file.
///
/// # Errors
/// If a tensor's length does not fit its shape.
pub fn encode(encoder: &EncoderWeights) -> Result<Vec<u8>> {
    tensor_file::encode(&encoder.tensors, Some(encoder.metadata.iter().cloned().collect()))
}
