//! Tensors and gradients as [`Values`].

use cudarc_of_dfdx::driver::{DevicePtr, DeviceSlice};
use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::runtime::{locked, runtime};
use crate::backend::GradientVec;
use crate::backend::kernels::{self, Values, ValuesMut};

/// What a gradient, or memory for an operation, is stored in.
pub(super) type Stored<T = f32> = <Cuda as Storage<T>>::Vec;

/// The values of a tensor that is no broadcast view.
pub(super) fn values<S: Shape, E: Unit>(tensor: &Tensor<S, E, Cuda>) -> Values<'_, E> {
    let storage = storage(tensor);
    // SAFETY: dfdx keeps them there as long as the tensor, and `start` has checked that it is so; what changes them later
    // comes later in the stream.
    unsafe { Values::from_raw(storage.address, storage.len) }
}

/// The values of a tensor that nothing shares yet: one that was just made.
pub(super) fn new_values<S: Shape, E: Unit>(tensor: &mut Tensor<S, E, Cuda>) -> ValuesMut<'_, E> {
    let storage = storage(tensor);
    // SAFETY: as in `values`, and the storage is this tensor's alone.
    unsafe { ValuesMut::from_raw(storage.address, storage.len) }
}

/// The values of a tensor, to change. Clones share their storage until one is changed; as dfdx tells nobody whether that is
/// so, a tensor seen for the first time is given storage of its own.
///
/// Clones that are made later, such as those on a tape, must be gone again before the tensor is changed.
pub(super) fn values_mut<S: Shape>(tensor: &mut Tensor<S, f32, Cuda>) -> Result<ValuesMut<'_>, CudaError> {
    let known = |tensor: &Tensor<S, f32, Cuda>| {
        let kernels::Storage { id, address, .. } = storage(tensor);
        (id, address)
    };
    if !locked(&runtime().unshared).contains(&known(tensor)) {
        // 1 x + 0 x, into new storage because `same` shares the old.
        let same = tensor.clone();
        tensor.try_axpy(1.0, &same, 0.0)?;
        locked(&runtime().unshared).insert(known(tensor));
    }
    Ok(new_values(tensor))
}

fn storage<S: Shape, E: Unit>(tensor: &Tensor<S, E, Cuda>) -> kernels::Storage {
    let storage = kernels::Storage::of(tensor);
    assert_eq!(storage.len, tensor.shape().num_elements(), "the tensor is a view");
    storage
}

/// The values of a gradient.
pub(super) fn stored<T>(stored: &Stored<T>) -> Values<'_, T>
where
    T: Unit,
{
    // SAFETY: they are there as long as they are borrowed.
    unsafe { Values::from_raw(*stored.device_ptr(), stored.len()) }
}

/// The values of a gradient, to change.
pub(super) fn stored_mut<T: Unit>(stored: &mut Stored<T>) -> ValuesMut<'_, T> {
    // SAFETY: as in `stored`, and nothing else has them while they are borrowed to be changed.
    unsafe { ValuesMut::from_raw(*stored.device_ptr(), stored.len()) }
}

/// Makes zeros of an empty gradient; whether it was empty.
pub(super) fn begin(dev: &Cuda, gradient: &mut GradientVec<Cuda>, len: usize) -> Result<bool, CudaError> {
    let is_empty = gradient.len() == 0;
    if is_empty {
        *gradient = dev.try_alloc_len(len)?;
    }
    Ok(is_empty)
}
