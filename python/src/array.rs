//! Memory that other libraries use in place.

use std::ffi::{CStr, c_int};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use pyo3::exceptions::{PyBufferError, PyIndexError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use simsiam_pipeline::Dtype;

use crate::dlpack;

/// Up to four dimensions of numbers in C order, which PyTorch, JAX and NumPy use in place.
///
/// ``torch.from_dlpack(array)``, ``jax.dlpack.from_dlpack(array)`` and ``numpy.asarray(array)`` copy nothing. The memory goes
/// back to the loader when the last of these, and the batch itself, are gone.
#[pyclass(frozen, module = "simsiam")]
pub(crate) struct Array {
    pub(crate) data: NonNull<u8>,
    pub(crate) kind: Kind,
    dimensions: usize,
    shape: [isize; 4],
    strides: [isize; 4],
    /// What the memory belongs to.
    pub(crate) owner: Owner,
}

/// Keeps memory where it is.
pub(crate) type Owner = Arc<dyn Send + Sync>;

// SAFETY: the memory belongs to `owner`, which any thread may hold and drop. Its numbers are reached through Python's
// libraries alone, which leave it to their callers to keep writers apart, as for any tensor.
unsafe impl Send for Array {}
// SAFETY: as above; nothing here reads or writes the memory.
unsafe impl Sync for Array {}

/// The type of the numbers.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// As NumPy names it.
    pub(crate) name: &'static str,
    /// As `struct` names it.
    format: &'static CStr,
    /// DLPack's `DLDataTypeCode`.
    pub(crate) code: u8,
    /// Size of a number.
    pub(crate) bytes: u8,
}

impl Kind {
    pub(crate) const INT64: Self = Self { name: "int64", format: c"q", code: 0, bytes: 8 };

    pub(crate) fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::U8 => Self { name: "uint8", format: c"B", code: 1, bytes: 1 },
            Dtype::F16 => Self { name: "float16", format: c"e", code: 2, bytes: 2 },
            Dtype::F32 => Self { name: "float32", format: c"f", code: 2, bytes: 4 },
        }
    }
}

impl Array {
    /// The numbers at `data`, which `owner` keeps there and nobody else writes.
    pub(crate) fn new(data: NonNull<u8>, kind: Kind, shape: &[usize], owner: Owner) -> Self {
        let mut array = Self { data, kind, dimensions: shape.len(), shape: [1; 4], strides: [1; 4], owner };
        let mut stride = isize::from(kind.bytes);
        for (at, &length) in shape.iter().enumerate().rev() {
            (array.shape[at], array.strides[at]) = (length as isize, stride);
            stride *= length as isize;
        }
        array
    }

    pub(crate) fn shape(&self) -> &[isize] {
        &self.shape[..self.dimensions]
    }

    /// In bytes.
    pub(crate) fn strides(&self) -> &[isize] {
        &self.strides[..self.dimensions]
    }
}

#[pymethods]
impl Array {
    /// The dimensions.
    #[getter(shape)]
    fn py_shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.shape())
    }

    /// The numbers' type: ``"float32"``, ``"float16"``, ``"uint8"`` or ``"int64"``.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.kind.name
    }

    fn __len__(&self) -> PyResult<usize> {
        self.shape()
            .first()
            .map(|&length| length as usize)
            .ok_or_else(|| PyIndexError::new_err("no dimension"))
    }

    fn __repr__(&self) -> String {
        format!("simsiam.Array(shape={:?}, dtype={})", self.shape(), self.kind.name)
    }

    /// DLPack's device: the CPU.
    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::CPU
    }

    /// A DLPack capsule of this memory.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        if dl_device.is_some_and(|device| device != dlpack::CPU) || stream.is_some() {
            return Err(PyBufferError::new_err(
                "the memory is the CPU's: export it there, and move the tensor",
            ));
        }
        if copy == Some(true) {
            return Err(PyBufferError::new_err("the memory is exported as it is: copy the tensor"));
        }
        dlpack::export(py, self, max_version.is_some_and(|(major, _)| major >= 1))
    }

    /// # Safety
    /// Python calls this with a `Py_buffer` to be filled.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no buffer to fill"));
        }
        let array = slf.get();
        let asked = |flag: c_int| flags & flag == flag;
        // What is pointed to lies in the array, which the buffer's reference to it keeps; Python does not write it.
        let pointer = |numbers: &[isize]| numbers.as_ptr().cast_mut();
        let bytes = isize::from(array.kind.bytes);
        let filled = ffi::Py_buffer {
            buf: array.data.as_ptr().cast(),
            obj: slf.clone().into_any().into_ptr(),
            len: array.shape().iter().product::<isize>() * bytes,
            itemsize: bytes,
            readonly: 0,
            ndim: array.dimensions as c_int,
            format: if asked(ffi::PyBUF_FORMAT) {
                array.kind.format.as_ptr().cast_mut()
            } else {
                ptr::null_mut()
            },
            shape: if asked(ffi::PyBUF_ND) { pointer(&array.shape) } else { ptr::null_mut() },
            strides: if asked(ffi::PyBUF_STRIDES) { pointer(&array.strides) } else { ptr::null_mut() },
            suboffsets: ptr::null_mut(),
            internal: ptr::null_mut(),
        };
        // SAFETY: Python gave a buffer to be filled.
        unsafe { view.write(filled) };
        Ok(())
    }
}
