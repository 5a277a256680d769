//! The pipeline for Python: `simsiam.Loader` iterates over batches whose views are PyTorch's, JAX's and NumPy's without a copy.
//!
//! - `loader`: the loader and its epochs; `arguments`: from Python's values to shards, a recipe and settings.
//! - `batch`: what an epoch gives; `array`: its memory, by the buffer protocol; `dlpack`: and by DLPack.
//! - `custom`: steps of your own as callables.
//! - `process`: what a fork must not touch; `torch`: PyTorch's worker processes; `error`: Python's own exceptions.

mod arguments;
mod array;
mod batch;
mod custom;
mod dlpack;
mod error;
mod loader;
mod process;
mod torch;

use pyo3::prelude::*;

#[pymodule]
mod _simsiam {
    use pyo3::prelude::*;
    use pyo3::types::IntoPyDict;

    #[pymodule_export]
    use super::array::Array;
    #[pymodule_export]
    use super::batch::Batch;
    #[pymodule_export]
    use super::loader::{Epoch, Loader};

    /// Python's threads end before the interpreter does, and so must those that call it.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let close = wrap_pyfunction!(super::custom::close_steps, module)?;
        py.import("atexit")?.call_method1("register", (close,))?;
        // Where processes fork.
        if let Ok(register) = py.import("os")?.getattr("register_at_fork") {
            let forget = wrap_pyfunction!(super::custom::forget_threads, module)?;
            register.call((), Some(&[("after_in_child", forget)].into_py_dict(py)?))?;
        }
        Ok(())
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
