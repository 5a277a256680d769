//! Named tensors as safetensors.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use simsiam_model::state::NamedTensor;

/// The tensors as the bytes of a file, with `metadata` in its header: the same for the same tensors and metadata.
///
/// # Errors
/// If a tensor's length does not fit its shape.
pub fn encode(tensors: &[NamedTensor], metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    let views = tensors.iter().map(|tensor| {
        let bytes = bytemuck::cast_slice(&tensor.data);
        TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (tensor.name.as_str(), view))
    });
    let mut file = safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, metadata)?;
    sort_header(&mut file)?;
    Ok(file)
}

/// Puts the header's entries in the order of their names. The library writes metadata in the order of a hash map, which
/// is another each time.
fn sort_header(file: &mut [u8]) -> serde_json::Result<()> {
    let Some((len, rest)) = file.split_first_chunk_mut() else { return Ok(()) };
    let header = &mut rest[..u64::from_le_bytes(*len) as usize];
    let sorted = serde_json::to_vec(&serde_json::from_slice::<serde_json::Value>(header)?)?;
    // It ends in spaces, so that the values are aligned.
    header.fill(b' ');
    header[..sorted.len()].copy_from_slice(&sorted);
    Ok(())
}

/// Why a file gives no tensors.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    /// The bytes are something else, or are cut.
    #[error("not a safetensors file ({0})")]
    Format(#[from] SafeTensorError),
    /// A wanted tensor holds no real numbers.
    #[error("tensor \"{name}\" is {dtype}; F64, F32, F16 and BF16 can be read")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// What it holds.
        dtype: Dtype,
    },
}

/// The tensors of a file whose names are `wanted`, rounded to f32 where they are wider.
///
/// # Errors
/// If the bytes are no safetensors file, or a wanted tensor is of no float type.
pub fn decode(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<NamedTensor>, TensorFileError> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let tensors = tensors.iter().filter(|(name, _)| wanted(name)).map(|(name, view)| {
        let data = values(view.dtype(), view.data())
            .ok_or_else(|| TensorFileError::Dtype { name: name.to_owned(), dtype: view.dtype() })?;
        Ok(NamedTensor { name: name.to_owned(), shape: view.shape().to_vec(), data })
    });
    tensors.collect()
}

/// The names of a file's tensors.
///
/// # Errors
/// If the bytes are no safetensors file.
pub fn names(bytes: &[u8]) -> Result<Vec<String>, TensorFileError> {
    Ok(SafeTensors::deserialize(bytes)?.names().into_iter().map(ToString::to_string).collect())
}

/// Little-endian numbers of a float type.
fn values(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
    }
    Some(match dtype {
        Dtype::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::BF16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        _ => return None,
    })
}

/// What a file says besides its tensors; nothing of one that cannot be read.
pub fn metadata(bytes: &[u8]) -> BTreeMap<String, String> {
    let header = SafeTensors::read_metadata(bytes).ok();
    let metadata = header.and_then(|(_, metadata)| metadata.metadata().clone());
    metadata.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tensors_and_metadata_are_the_same_bytes() {
        let tensor = |name: &str, len: usize| NamedTensor {
            name: name.into(),
            shape: vec![len],
            data: (0..len).map(|i| i as f32).collect(),
        };
        let tensors = [tensor("b", 3), tensor("a", 5)];
        let said: BTreeMap<String, String> = (0..20).map(|i| (format!("key {i}"), "\"é\n".into())).collect();
        let file = || encode(&tensors, Some(said.clone().into_iter().collect())).unwrap();
        let first = file();
        for _ in 0..10 {
            assert_eq!(file(), first);
        }
        assert_eq!(metadata(&first), said);
        let mut read = decode(&first, |_| true).unwrap();
        read.sort_by_key(|tensor| tensor.shape[0]);
        assert_eq!(read, tensors);
    }

    #[test]
    fn every_float_type_is_read_and_others_only_when_they_are_wanted() {
        let numbers = [1.5f32, -0.25, 65_504.0];
        let bytes =
            |write: &dyn Fn(f32) -> Vec<u8>| numbers.iter().flat_map(|&x| write(x)).collect::<Vec<u8>>();
        let tensors = [
            ("f64", Dtype::F64, bytes(&|x| f64::from(x).to_le_bytes().into())),
            ("f32", Dtype::F32, bytes(&|x| x.to_le_bytes().into())),
            ("f16", Dtype::F16, bytes(&|x| f16::from_f32(x).to_le_bytes().into())),
            ("bf16", Dtype::BF16, bytes(&|x| bf16::from_f32(x).to_le_bytes().into())),
            ("counter", Dtype::I64, bytes(&|x| (x as i64).to_le_bytes().into())),
        ];
        let views = tensors.iter().map(|(name, dtype, bytes)| {
            (*name, TensorView::new(*dtype, vec![numbers.len()], bytes).unwrap())
        });
        let file = safetensors::serialize(views, None).unwrap();
        for tensor in decode(&file, |name| name != "counter").unwrap() {
            let expected = if tensor.name == "bf16" { [1.5, -0.25, 65_536.0] } else { numbers };
            assert_eq!(tensor.data, expected, "{}", tensor.name);
        }
        let error = decode(&file, |_| true).unwrap_err().to_string();
        assert_eq!(error, "tensor \"counter\" is I64; F64, F32, F16 and BF16 can be read");
    }
}
