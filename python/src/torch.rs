//! PyTorch's worker processes.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// An error in one of several worker processes of a `DataLoader`: each would give every image, and start threads of its own.
///
/// PyTorch is asked where it is imported already, and never imported.
pub(crate) fn refuse_several_workers(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    let data = modules.call_method1("get", ("torch.utils.data",))?;
    if data.is_none() {
        return Ok(());
    }
    let worker = data.call_method0("get_worker_info")?;
    if worker.is_none() {
        return Ok(());
    }
    let workers: u64 = worker.getattr("num_workers")?.extract()?;
    if workers < 2 {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "a simsiam.Loader in a DataLoader with num_workers={workers}: each of these processes would give every image; iterate \
         over the loader itself, whose threads do the work (workers=N), or set num_workers=0"
    )))
}
