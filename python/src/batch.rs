//! What an epoch gives.

use std::ptr::NonNull;
use std::sync::Arc;

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyTuple};
use simsiam_pipeline::ShardSet;

use crate::array::{Array, Kind, Owner};
use crate::process::OfProcess;

/// The label of an image without one.
const NO_LABEL: i64 = -1;

/// Augmented views of some images, with their labels and keys: ``x1, x2, labels = batch``.
#[pyclass(frozen, module = "simsiam")]
pub(crate) struct Batch {
    /// Epoch of this batch, from 0.
    #[pyo3(get)]
    epoch: u64,
    /// Its place in the epoch, from 0.
    #[pyo3(get)]
    step: u64,
    views: Vec<Py<Array>>,
    labels: Py<Array>,
    samples: Vec<u64>,
    /// Of remote shards, with threads behind it.
    shards: OfProcess<Arc<ShardSet>>,
}

impl Batch {
    pub(crate) fn new(
        py: Python<'_>,
        mut batch: simsiam_pipeline::Batch,
        shards: Arc<ShardSet>,
    ) -> PyResult<Self> {
        let (kind, len) = (Kind::of(batch.format().dtype), batch.len());
        let (epoch, step, samples) = (batch.epoch(), batch.step(), batch.samples().collect());
        let mut labels: Vec<i64> = batch.labels().map(|label| label.map_or(NO_LABEL, i64::from)).collect();
        let label_data = pointer(&mut labels).cast();
        let data: Vec<_> =
            (0..batch.views()).map(|view| (pointer(batch.bytes_mut(view)), batch.shape(view))).collect();
        // Neither moves its memory when it moves itself.
        let owner: Owner = Arc::new(OfProcess::new(batch));
        let labels = Array::new(label_data, Kind::INT64, &[len], Arc::new(labels));
        let views =
            data.into_iter().map(|(data, shape)| Py::new(py, Array::new(data, kind, &shape, owner.clone())));
        Ok(Self {
            epoch,
            step,
            views: views.collect::<PyResult<_>>()?,
            labels: Py::new(py, labels)?,
            samples,
            shards: OfProcess::new(shards),
        })
    }

    fn view(&self, py: Python<'_>, number: usize) -> PyResult<Py<Array>> {
        let view = self.views.get(number).map(|view| view.clone_ref(py));
        view.ok_or_else(|| {
            PyAttributeError::new_err(format!(
                "view{} of a batch with {} views",
                number + 1,
                self.views.len()
            ))
        })
    }
}

fn pointer<T>(items: &mut [T]) -> NonNull<T> {
    NonNull::from(items).cast()
}

#[pymethods]
impl Batch {
    /// The first view of every image: ``(len, 3, size, size)``, or ``(len, size, size, 3)`` with ``layout="NHWC"``.
    #[getter]
    fn view1(&self, py: Python<'_>) -> PyResult<Py<Array>> {
        self.view(py, 0)
    }

    /// The second view of every image.
    #[getter]
    fn view2(&self, py: Python<'_>) -> PyResult<Py<Array>> {
        self.view(py, 1)
    }

    /// All views; those of a group with a size of its own have a shape of their own.
    #[getter]
    fn views<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.views)
    }

    /// The class of each image as int64; -1 where its shard has none.
    #[getter]
    fn labels(&self, py: Python<'_>) -> Py<Array> {
        self.labels.clone_ref(py)
    }

    /// The key of each image: its path in the folder or the archive without the extension; in a tar, up to the first dot of its name.
    #[getter]
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let keys = self.samples.iter().map(|&sample| self.shards.locate(sample).key);
        PyList::new(py, keys)
    }

    /// The views and then the labels, so that ``x1, x2, labels = batch``.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let parts = self.views.iter().chain([&self.labels]).map(|part| part.clone_ref(py));
        PyTuple::new(py, parts.collect::<Vec<_>>())?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.samples.len()
    }

    fn __repr__(&self) -> String {
        let Self { epoch, step, .. } = self;
        format!("simsiam.Batch({} images, epoch {epoch}, step {step})", self.samples.len())
    }
}
