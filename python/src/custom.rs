//! Steps of your own, as Python callables.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};
use simsiam_pipeline::augment::{CustomStep, CustomView};

/// A callable `step(view, rng)`: a NumPy array of `size x size x 3` bytes, which it changes or in whose place it returns another,
/// and a `numpy.random.Generator` of this view's own.
#[derive(Debug)]
struct PythonStep(Py<PyAny>);

/// Whether the interpreter is about to end, and the steps that are inside it: a thread that would ask for it afterwards never
/// comes back.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// The steps of a dict, by their names.
pub(crate) fn steps(dict: &Bound<'_, PyDict>) -> PyResult<Vec<(String, Arc<dyn CustomStep>)>> {
    let step =
        |(name, step): (Bound<'_, PyAny>, Bound<'_, PyAny>)| -> PyResult<(String, Arc<dyn CustomStep>)> {
            let name: String = name.extract()?;
            if !step.is_callable() {
                return Err(PyTypeError::new_err(format!(
                    "steps[{name:?}]: expected a callable, not {step}"
                )));
            }
            Ok((name, Arc::new(PythonStep(step.unbind()))))
        };
    if !dict.is_empty() {
        dict.py().import("numpy")?;
    }
    dict.iter().map(step).collect()
}

/// Waits until no step runs, and lets none begin. For `atexit`.
#[pyfunction]
pub(crate) fn close_steps(py: Python<'_>) {
    IS_CLOSED.store(true, SeqCst);
    py.detach(|| {
        while INSIDE.load(SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    });
}

/// The threads of the parent are not in a forked child. For `os.register_at_fork`.
#[pyfunction]
pub(crate) fn forget_threads() {
    INSIDE.store(0, SeqCst);
}

/// Counts this thread among those inside the interpreter, as long as it lives.
struct Inside;

impl Inside {
    fn enter() -> Result<Self, &'static str> {
        INSIDE.fetch_add(1, SeqCst);
        let inside = Self;
        if IS_CLOSED.load(SeqCst) { Err("the interpreter is ending") } else { Ok(inside) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, SeqCst);
    }
}

impl CustomStep for PythonStep {
    fn apply(&self, view: &mut CustomView<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let _inside = Inside::enter()?;
        Python::attach(|py| self.call(py, view)).map_err(Into::into)
    }
}

impl PythonStep {
    /// The callable has a copy of the bytes, which it may keep; what it made of them is copied back.
    fn call(&self, py: Python<'_>, view: &mut CustomView<'_>) -> PyResult<()> {
        let numpy = py.import("numpy")?;
        let shape = (view.size, view.size, 3);
        let (red, rest) = view.pixels.split_at_mut(view.size * view.size);
        let (green, blue) = rest.split_at_mut(view.size * view.size);
        let bytes = PyByteArray::new_with(py, shape.0 * shape.1 * shape.2, |bytes| {
            let pixels = bytes.as_chunks_mut::<3>().0.iter_mut();
            for (((pixel, r), g), b) in pixels.zip(&*red).zip(&*green).zip(&*blue) {
                *pixel = [*r, *g, *b];
            }
            Ok(())
        })?;
        let array = numpy.call_method1("frombuffer", (bytes, numpy.getattr("uint8")?))?;
        let array = array.call_method1("reshape", (shape,))?;
        let rng = numpy.getattr("random")?.call_method1("default_rng", (view.rng.word(),))?;

        let returned = self.0.bind(py).call1((&array, rng))?;
        let result = if returned.is_none() { array } else { numpy.call_method1("asarray", (returned,))? };
        let found: (String, Vec<usize>) =
            (result.getattr("dtype")?.str()?.extract()?, result.getattr("shape")?.extract()?);
        if found != ("uint8".into(), vec![view.size, view.size, 3]) {
            let text =
                format!("returned {} of shape {:?}, expected uint8 of shape {shape:?}", found.0, found.1);
            return Err(PyValueError::new_err(text));
        }
        let bytes = result.call_method0("tobytes")?;
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        let pixels = bytes.as_chunks::<3>().0.iter();
        for (((pixel, r), g), b) in pixels.zip(red).zip(green).zip(blue) {
            [*r, *g, *b] = *pixel;
        }
        Ok(())
    }
}
