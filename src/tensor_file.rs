//! Named tensors as safetensors.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use simsiam_model::state::NamedTensor;

/// The tensors as the bytes of a file, with `metadata` in its header.
///
/// # Errors
/// If a tensor's length does not fit its shape.
pub fn encode(tensors: &[NamedTensor], metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    let views = tensors.iter().map(|tensor| {
        let bytes = bytemuck::cast_slice(&tensor.data);
        TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (tensor.name.as_str(), view))
    });
    Ok(safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, metadata)?)
}

/// The tensors of a file whose names are `wanted`.
///
/// # Errors
/// If the bytes are no safetensors file, or a wanted tensor is not f32.
pub fn decode(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<NamedTensor>> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let tensors = tensors.iter().filter(|(name, _)| wanted(name)).map(|(name, view)| {
        ensure!(view.dtype() == Dtype::F32, "tensor \"{name}\" is {}, expected F32", view.dtype());
        let data = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(NamedTensor { name: name.to_owned(), shape: view.shape().to_vec(), data })
    });
    tensors.collect()
}
