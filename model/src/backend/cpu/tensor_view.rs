//! The elements of a CPU tensor as one slice.

use dfdx::prelude::*;

/// The elements of a contiguous tensor, in row-major order.
///
/// # Panics
/// If the tensor is a broadcast or permuted view.
pub(super) fn values<S: Shape>(tensor: &Tensor<S, f32, Cpu>) -> &[f32] {
    let len = tensor.shape().num_elements();
    if len == 0 {
        return &[];
    }
    assert_contiguous(tensor);
    let first: *const f32 = &tensor[S::Concrete::default()];
    // SAFETY: dfdx keeps a tensor's elements in one `Vec<f32>`, and `first` lies in it. The strides are those of a
    // contiguous tensor, and indexing the last element (bounds-checked by dfdx) succeeded, so `len` elements follow
    // `first` in that `Vec`, which the borrow of `tensor` keeps alive and unchanged.
    unsafe { std::slice::from_raw_parts(first, len) }
}

/// The elements of a contiguous tensor, to change; a tensor whose storage is shared is copied first.
///
/// # Panics
/// If the tensor is a broadcast or permuted view.
pub(super) fn values_mut<S: Shape>(tensor: &mut Tensor<S, f32, Cpu>) -> &mut [f32] {
    let len = tensor.shape().num_elements();
    if len == 0 {
        return &mut [];
    }
    assert_contiguous(tensor);
    let first: *mut f32 = &mut tensor[S::Concrete::default()];
    // SAFETY: as in `values`; indexing through `&mut` made the storage unique to `tensor`, which stays mutably borrowed.
    unsafe { std::slice::from_raw_parts_mut(first, len) }
}

/// Compares the address of one step along each axis, and of the last element, with those of a contiguous tensor.
fn assert_contiguous<S: Shape>(tensor: &Tensor<S, f32, Cpu>) {
    let sizes = tensor.shape().concrete();
    let origin = S::Concrete::default();
    let address = |index: S::Concrete| std::ptr::from_ref(&tensor[index]).addr();
    let offset = |index| address(index).wrapping_sub(address(origin)) / size_of::<f32>();

    let mut last = origin;
    let mut stride = 1;
    for axis in (0..S::NUM_DIMS).rev() {
        if sizes[axis] > 1 {
            let mut step = origin;
            step[axis] = 1;
            assert_eq!(offset(step), stride, "the tensor is a view along axis {axis}");
        }
        last[axis] = sizes[axis] - 1;
        stride *= sizes[axis];
    }
    assert_eq!(offset(last), stride - 1, "the tensor is a view");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_row_major_order() {
        let dev = Cpu::default();
        let mut t = dev.tensor([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(values(&t), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let shared = t.clone();
        values_mut(&mut t)[5] = 7.0;
        assert_eq!((values(&t)[5], values(&shared)[5]), (7.0, 6.0));
        let empty: Tensor<(usize, Const<3>), f32, Cpu> = dev.zeros_like(&(0, Const));
        assert!(values(&empty).is_empty());
    }

    #[test]
    #[should_panic(expected = "a view along axis")]
    fn a_permuted_tensor_is_refused() {
        let dev = Cpu::default();
        let t: Tensor<Rank2<3, 2>, f32, _> = dev.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).permute();
        values(&t);
    }

    #[test]
    #[should_panic(expected = "a view along axis")]
    fn a_broadcast_tensor_is_refused() {
        let dev = Cpu::default();
        let t: Tensor<Rank2<4, 3>, f32, _> = dev.tensor([1.0, 2.0, 3.0]).broadcast();
        values(&t);
    }
}
