//! The elements of a CPU tensor as one slice, and new tensors whose elements are written once.

use std::mem::MaybeUninit;

use dfdx::prelude::*;
use rayon::prelude::*;

use super::matrix::Store;

/// A new tensor whose elements, in row-major order, are those that `write` writes.
///
/// # Safety
/// `write` initialises every element.
pub(super) unsafe fn written<S: Shape>(
    dev: &Cpu,
    shape: S,
    write: impl FnOnce(&mut [MaybeUninit<f32>]),
) -> Result<Tensor<S, f32, Cpu>, CpuError> {
    let len = shape.num_elements();
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| CpuError::OutOfMemory)?;
    write(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: the elements are allocated, and the caller promises that they are initialised.
    unsafe { values.set_len(len) };
    dev.try_tensor_from_vec(values, shape)
}

/// Adds to a gradient of `len` elements, or makes it if it is empty: `write` is told which.
///
/// # Safety
/// `write` initialises every element when it is told to overwrite, and writes only initialised ones when it is told to add.
pub(super) unsafe fn written_or_added(
    grad: &mut Vec<f32>,
    len: usize,
    write: impl FnOnce(&mut [MaybeUninit<f32>], Store),
) {
    if !grad.is_empty() {
        // SAFETY: the caller promises that all that is written are values.
        return write(unsafe { as_uninit(grad) }, Store::Add);
    }
    grad.reserve_exact(len);
    write(&mut grad.spare_capacity_mut()[..len], Store::Overwrite);
    // SAFETY: the elements are allocated, and the caller promises that they are initialised.
    unsafe { grad.set_len(len) };
}

/// Adds a gradient to another.
pub(super) fn add(to: &mut [f32], grad: &[f32]) {
    // Without type parameters, so that it is compiled once.
    let chunks = to.par_chunks_mut(1 << 14).zip(grad.par_chunks(1 << 14));
    chunks.for_each(|(to, grad)| to.iter_mut().zip(grad).for_each(|(to, grad)| *to += grad));
}

/// Initialised values as ones that may be written without being read.
///
/// # Safety
/// Only initialised values are written to the result: the slice is one of values again when the borrow ends.
pub(super) unsafe fn as_uninit<T>(values: &mut [T]) -> &mut [MaybeUninit<T>] {
    // SAFETY: the layouts are the same, and the caller promises that the values stay initialised.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<T>]) }
}

/// Stores results side by side.
#[inline(always)]
pub(super) fn put_values(to: &mut [f32], results: &[f32], store: Store) {
    // SAFETY: `put` reads values that are initialised, and writes results, which are.
    unsafe { put(as_uninit(to), 1, results, store) }
}

/// Stores results `step` apart.
///
/// # Safety
/// If `store` is `Add`, the places are initialised.
#[inline(always)]
pub(super) unsafe fn put(to: &mut [MaybeUninit<f32>], step: usize, results: &[f32], store: Store) {
    match (store, step) {
        (Store::Overwrite, 1) => {
            let (to, to_rest) = to[..results.len()].as_chunks_mut::<8>();
            let (from, from_rest) = results.as_chunks::<8>();
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from.map(MaybeUninit::new));
            to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = MaybeUninit::new(*from));
        }
        (Store::Overwrite, _) => {
            to.iter_mut().step_by(step).zip(results).for_each(|(to, from)| *to = MaybeUninit::new(*from));
        }
        (Store::Add, 1) => {
            // SAFETY: the caller promises that the value is initialised.
            to.iter_mut().zip(results).for_each(|(to, from)| unsafe { *to.assume_init_mut() += from });
        }
        (Store::Add, _) => {
            let places = to.iter_mut().step_by(step);
            // SAFETY: the caller promises that the value is initialised.
            places.zip(results).for_each(|(to, from)| unsafe { *to.assume_init_mut() += from });
        }
    }
}

/// Copies every `stride`-th value.
#[inline(always)]
pub(super) fn take_every(stride: usize, from: &[f32], to: &mut [f32]) {
    if stride == 2 {
        // As pairs, which become shuffles of vectors.
        let (pairs, rest) = from.as_chunks::<2>();
        to.iter_mut().zip(pairs).for_each(|(to, [value, _])| *to = *value);
        to[pairs.len()..].iter_mut().zip(rest).for_each(|(to, value)| *to = *value);
    } else {
        to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, value)| *to = *value);
    }
}

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
    // `first` in that `Vec`, which the borrow of `tensor` keeps alive and unchanged. The pointer is made from a reference to
    // one element, because dfdx lends nothing else; that it reaches the others is allowed by Tree Borrows, the later one of
    // Rust's two proposed rules of aliasing, and not by Stacked Borrows.
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
