//! DLPack's structures (`dlpack.h`, ABI 1.0 and the one before it), filled with an array.

use std::ffi::{CStr, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::array::{Array, Owner};

/// `kDLCPU`, device 0.
pub(crate) const CPU: (i32, i32) = (1, 0);

/// `DLTensor`.
#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: (i32, i32),
    dimensions: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

/// `DLManagedTensor`.
#[repr(C)]
struct Unversioned {
    tensor: Tensor,
    context: *mut c_void,
    deleter: unsafe extern "C" fn(*mut Export<Unversioned>),
}

/// `DLManagedTensorVersioned`.
#[repr(C)]
struct Versioned {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: unsafe extern "C" fn(*mut Export<Versioned>),
    flags: u64,
    tensor: Tensor,
}

/// A managed tensor and, behind it, what it points to.
#[repr(C)]
struct Export<M> {
    managed: M,
    shape: [i64; 4],
    strides: [i64; 4],
    /// Dropped with the export: the last one gives the batch's memory back.
    _owner: Owner,
}

/// One of the two forms.
trait Managed: Sized {
    /// The capsule's, until a consumer takes what is in it.
    const NAME: &CStr;
    fn new(tensor: Tensor) -> Self;
    fn tensor(&mut self) -> &mut Tensor;
}

impl Managed for Unversioned {
    const NAME: &CStr = c"dltensor";

    fn new(tensor: Tensor) -> Self {
        Self { tensor, context: std::ptr::null_mut(), deleter: delete }
    }

    fn tensor(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

impl Managed for Versioned {
    const NAME: &CStr = c"dltensor_versioned";

    fn new(tensor: Tensor) -> Self {
        Self { major: 1, minor: 0, context: std::ptr::null_mut(), deleter: delete, flags: 0, tensor }
    }

    fn tensor(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

/// A capsule of the array's memory, which lives until the capsule's consumer, or else the capsule, is done with it.
pub(crate) fn export<'py>(
    py: Python<'py>,
    array: &Array,
    versioned: bool,
) -> PyResult<Bound<'py, PyCapsule>> {
    if versioned { capsule::<Versioned>(py, array) } else { capsule::<Unversioned>(py, array) }
}

fn capsule<'py, M: Managed>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, PyCapsule>> {
    let tensor = Tensor {
        data: array.data.as_ptr().cast(),
        device: CPU,
        dimensions: array.shape().len() as i32,
        code: array.kind.code,
        bits: 8 * array.kind.bytes,
        lanes: 1,
        shape: std::ptr::null_mut(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    };
    let bytes = i64::from(array.kind.bytes);
    let numbers = |of: &[isize]| std::array::from_fn(|at| of.get(at).map_or(1, |&number| number as i64));
    let mut export = Box::new(Export {
        managed: M::new(tensor),
        shape: numbers(array.shape()),
        strides: numbers(array.strides()).map(|stride: i64| stride / bytes),
        _owner: array.owner.clone(),
    });
    let (shape, strides) = (export.shape.as_mut_ptr(), export.strides.as_mut_ptr());
    let tensor = export.managed.tensor();
    (tensor.shape, tensor.strides) = (shape, strides);
    let pointer = Box::into_raw(export);
    // SAFETY: the name is static, and the destructor takes what `pointer` points to.
    let object = unsafe { ffi::PyCapsule_New(pointer.cast(), M::NAME.as_ptr(), Some(destroy::<M>)) };
    // SAFETY: a new reference, or null with an exception set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object) };
    match object {
        Ok(object) => Ok(object.cast_into()?),
        Err(error) => {
            // SAFETY: no capsule was made, so the pointer is still this function's.
            unsafe { delete(pointer) };
            Err(error)
        }
    }
}

/// Frees an export. A consumer calls it from any thread, with or without the interpreter.
///
/// # Safety
/// `export` came from [`capsule`] and is not used again.
unsafe extern "C" fn delete<M>(export: *mut Export<M>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(export) });
}

/// Frees an export that nobody has taken: a consumer renames the capsule.
///
/// # Safety
/// Python calls it once, with a capsule of [`capsule`].
unsafe extern "C" fn destroy<M: Managed>(capsule: *mut ffi::PyObject) {
    // SAFETY: it is a capsule; under this name it holds what `capsule` made, and nobody else frees it.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, M::NAME.as_ptr()) != 0 {
            delete(ffi::PyCapsule_GetPointer(capsule, M::NAME.as_ptr()).cast::<Export<M>>());
        }
    }
}
