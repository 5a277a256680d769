//! The loader and its epochs.

use std::ffi::CString;
use std::pin::Pin;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_core::Stream;
use pyo3::exceptions::{PyRuntimeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyTuple};
use simsiam_pipeline::{LoaderState, PipelineConfig, ShardSet, World};

use crate::batch::Batch;
use crate::process::OfProcess;
use crate::{arguments, error, torch};

/// How long a wait for a batch goes on before Python is asked whether the user wants to stop.
const TICK: Duration = Duration::from_millis(50);

/// Streams augmented views of the images in WebDataset shards, epoch by epoch.
///
/// Iterating gives the batches of one epoch (:class:`Batch`), and the next iteration those of the next epoch. The bytes of
/// every batch are a function of shards, recipe, seed, epoch and step alone: the same for any number of workers and ranks,
/// and after a restart from ``state_dict()``.
///
/// Parameters
/// ----------
/// shards:
///     Files, folders, globs or brace patterns (``"data/train-{000..146}.tar"``), or a ``shardindex.json`` of widsindex.
/// recipe:
///     ``"imagenet"``, ``"cifar10"``, the path of a TOML file, or a dict or another mapping; ``{"preset": "imagenet", "size": 96,
///     "blur": None}`` is a preset with other fields.
/// batch_size:
///     Images a batch over all ranks: each of them gets ``batch_size / world_size``.
/// workers:
///     Threads that decode and augment, 1 to 1024. They are threads, not processes, and change the speed alone. A PyTorch
///     ``DataLoader`` is not needed; around the loader it has ``num_workers=0`` or 1, for each of several worker
///     processes would give every image, and is refused.
/// seed:
///     The only source of randomness.
/// rank, world_size:
///     This process among those that share each batch.
/// epoch:
///     The first epoch.
/// evaluation:
///     One plain view of every image (resize and centre crop), in order, with a smaller last batch.
/// views, shuffle, drop_last:
///     2, True and True; 1, False and False with ``evaluation``.
/// layout, dtype:
///     ``"NCHW"`` or ``"NHWC"``; ``"float32"``, ``"float16"`` (both normalised) or ``"uint8"`` (as they are).
/// prefetch:
///     Finished batches that may wait for the consumer, at least 1. Two more are under way at most, so that ``prefetch + 3``
///     are in memory with the one that the consumer has; those that it keeps come on top.
/// on_bad_sample, bad_sample_budget:
///     ``"skip"`` replaces images that cannot be used, until more than this share of all is bad; ``"fail"`` raises at the
///     first.
/// cache_dir:
///     Where indexes go when a shard's folder is read-only.
///
/// Raises
/// ------
/// FileNotFoundError, ValueError, OSError
///     If shards are missing, settings cannot work, or a shard cannot be read.
#[pyclass(frozen, module = "simsiam")]
pub(crate) struct Loader {
    inner: Mutex<Inner>,
    /// The process in which `inner` has threads, or 0; known without its lock, which a forked child might find held for ever.
    running_in: AtomicU32,
    /// By which an equal loader is made.
    arguments: Py<PyDict>,
}

struct Inner {
    loader: OfProcess<simsiam_pipeline::Loader>,
    /// Whether the next iteration begins in the midst of an epoch, where a state was.
    is_restored: bool,
    /// Counts iterations: only the last may go on.
    iteration: u64,
}

impl Loader {
    /// The loader, if this process may use it.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Inner>> {
        let running_in = self.running_in.load(Relaxed);
        if running_in != 0 && running_in != process::id() {
            return Err(PyRuntimeError::new_err(
                "the loader's threads stayed in the process that forked this one: make the loader after the fork, close() it \
                 before, or start processes with the method \"spawn\"",
            ));
        }
        Ok(self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Loader {
    #[new]
    #[pyo3(signature = (
        shards, recipe=None, batch_size=256, workers=8, seed=0, rank=0, world_size=1, *, epoch=0, evaluation=false, views=None,
        shuffle=None, drop_last=None, layout="NCHW", dtype="float32", prefetch=4, on_bad_sample="skip", bad_sample_budget=0.01,
        cache_dir=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python has names for them")]
    fn new(
        py: Python<'_>,
        shards: Bound<'_, PyAny>,
        recipe: Option<Bound<'_, PyAny>>,
        batch_size: i128,
        workers: i128,
        seed: i128,
        rank: i128,
        world_size: i128,
        epoch: i128,
        evaluation: bool,
        views: Option<i128>,
        shuffle: Option<bool>,
        drop_last: Option<bool>,
        layout: &str,
        dtype: &str,
        prefetch: i128,
        on_bad_sample: &str,
        bad_sample_budget: f64,
        cache_dir: Option<std::path::PathBuf>,
    ) -> PyResult<Self> {
        let batch_size: usize = arguments::whole("batch_size", batch_size, 1..=u64::MAX)?;
        let workers: usize = arguments::whole("workers", workers, 1..=PipelineConfig::MAX_WORKERS as u64)?;
        let prefetch: usize = arguments::whole("prefetch", prefetch, 1..=u64::MAX)?;
        let views = views.map(|views| arguments::whole("views", views, 1..=u64::MAX)).transpose()?;
        let world_size: u64 = arguments::whole("world_size", world_size, 1..=u64::MAX)?;
        let rank: u64 = arguments::whole("rank", rank, 0..=world_size - 1)?;
        let (seed, epoch): (u64, u64) = (
            arguments::whole("seed", seed, 0..=u64::MAX)?,
            arguments::whole("epoch", epoch, 0..=u64::MAX - 1)?,
        );
        let recipe = match recipe {
            Some(recipe) => recipe,
            None => "imagenet".into_pyobject(py)?.into_any(),
        };
        let patterns = arguments::patterns(&shards)?;
        let recipe = arguments::mapping_as_dict(recipe)?;
        let resolved = arguments::recipe(&recipe)?;
        let mut builder = if evaluation {
            simsiam_pipeline::Loader::evaluation(patterns.clone(), &resolved, batch_size)
        } else {
            simsiam_pipeline::Loader::training(patterns.clone(), resolved, batch_size)
        };
        builder = builder
            .workers(workers)
            .prefetch(prefetch)
            .seed(seed)
            .world(World { size: world_size, rank })
            .views(views.unwrap_or(if evaluation { 1 } else { 2 }))
            .order(arguments::order(shuffle.unwrap_or(!evaluation)))
            .last_batch(arguments::last_batch(drop_last.unwrap_or(!evaluation)))
            .layout(arguments::layout(layout)?)
            .dtype(arguments::dtype(dtype)?)
            .on_bad_sample(arguments::on_bad_sample(on_bad_sample, bad_sample_budget)?);
        if let Some(folder) = &cache_dir {
            builder = builder.cache_dir(folder);
        }
        let mut loader = py.detach(|| builder.build()).map_err(error::loader)?;
        for warning in loader.shards().warnings() {
            PyErr::warn(py, &py.get_type::<PyUserWarning>(), &CString::new(warning)?, 1)?;
        }
        loader.seek(epoch, 0);

        let arguments = PyDict::new(py);
        arguments.set_item("shards", patterns)?;
        arguments.set_item("recipe", recipe)?;
        for (name, value) in [("batch_size", batch_size), ("workers", workers), ("prefetch", prefetch)] {
            arguments.set_item(name, value)?;
        }
        for (name, value) in [("seed", seed), ("rank", rank), ("world_size", world_size), ("epoch", epoch)] {
            arguments.set_item(name, value)?;
        }
        arguments.set_item("evaluation", evaluation)?;
        arguments.set_item("views", views)?;
        arguments.set_item("shuffle", shuffle)?;
        arguments.set_item("drop_last", drop_last)?;
        for (name, value) in [("layout", layout), ("dtype", dtype), ("on_bad_sample", on_bad_sample)] {
            arguments.set_item(name, value)?;
        }
        arguments.set_item("bad_sample_budget", bad_sample_budget)?;
        arguments.set_item("cache_dir", cache_dir)?;
        let inner = Inner { loader: OfProcess::new(loader), is_restored: false, iteration: 0 };
        Ok(Self { inner: Mutex::new(inner), running_in: AtomicU32::new(0), arguments: arguments.unbind() })
    }

    /// Batches in an epoch.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.loader.len() as usize)
    }

    /// The batches of the present epoch: from its beginning, or from where a loaded state was.
    ///
    /// Raises
    /// ------
    /// RuntimeError
    ///     In one of several worker processes of a PyTorch ``DataLoader``, each of which would give every image.
    fn __iter__(slf: Bound<'_, Self>) -> PyResult<Epoch> {
        torch::refuse_several_workers(slf.py())?;
        let mut inner = slf.get().lock(slf.py())?;
        let inner = &mut *inner;
        let (epoch, step) = inner.loader.position();
        if step != 0 && !inner.is_restored {
            slf.py().detach(|| inner.loader.seek(epoch, 0));
        }
        inner.is_restored = false;
        inner.iteration += 1;
        Ok(Epoch { epoch, iteration: inner.iteration, loader: slf.clone().unbind() })
    }

    /// Makes ``epoch`` the one of the next iteration; in the midst of that epoch, as after ``load_state_dict``, it changes
    /// nothing.
    fn set_epoch(&self, py: Python<'_>, epoch: i128) -> PyResult<()> {
        let epoch: u64 = arguments::whole("epoch", epoch, 0..=u64::MAX - 1)?;
        let mut inner = self.lock(py)?;
        let inner = &mut *inner;
        if inner.loader.position().0 != epoch {
            py.detach(|| inner.loader.seek(epoch, 0));
            inner.is_restored = false;
            inner.iteration += 1;
        }
        Ok(())
    }

    /// Where the loader is, after the last batch that was taken: a small dict that JSON can hold.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let state = self.lock(py)?.loader.state();
        arguments::python(py, &state)
    }

    /// Goes on where the loader of ``state`` was, with its seed and the same bytes. Workers and ranks may differ.
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     If it had other data, another batch size, recipe or number of views, or another ``shuffle`` or ``drop_last``.
    fn load_state_dict(&self, state: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = state.py();
        let found: LoaderState = arguments::json(state)
            .map_err(|error| PyValueError::new_err(format!("not a loader's state: {error}")))?;
        let mut inner = self.lock(py)?;
        let inner = &mut *inner;
        py.detach(|| inner.loader.restore(found))
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        inner.is_restored = true;
        inner.iteration += 1;
        Ok(())
    }

    /// Images that could not be used so far: dicts of ``sample``, ``place`` (shard and key), ``offset`` and ``cause``.
    #[getter]
    fn bad_samples<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bad = self.lock(py)?.loader.quarantine().list();
        arguments::python(py, &bad)
    }

    /// The names of the classes, from ``classes.txt`` beside the shards; None if there is none.
    #[getter]
    fn class_names(&self, py: Python<'_>) -> PyResult<Option<Vec<String>>> {
        Ok(self.lock(py)?.loader.shards().class_names().map(<[String]>::to_vec))
    }

    /// Stops the threads. Batches stay as they are, and the next iteration starts them again.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut inner = self.lock(py)?;
        let inner = &mut *inner;
        py.detach(|| inner.loader.stop());
        self.running_in.store(0, Relaxed);
        Ok(())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Bound<'_, PyAny>,
        _value: Bound<'_, PyAny>,
        _traceback: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }

    // Pickled by its arguments and its state, so that it can be passed to a spawned process.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyTuple>, Bound<'py, PyDict>) {
        (PyTuple::empty(py), self.arguments.bind(py).clone())
    }

    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.state_dict(py)
    }

    fn __setstate__(&self, state: &Bound<'_, PyDict>) -> PyResult<()> {
        self.load_state_dict(state)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.lock(py)?;
        let (epoch, step) = inner.loader.position();
        let (samples, len) = (inner.loader.shards().len(), inner.loader.len());
        Ok(format!(
            "simsiam.Loader({samples} samples, {len} batches an epoch, at epoch {epoch}, step {step})"
        ))
    }
}

/// The batches of one epoch.
#[pyclass(frozen, module = "simsiam")]
pub(crate) struct Epoch {
    epoch: u64,
    iteration: u64,
    loader: Py<Loader>,
}

#[pymethods]
impl Epoch {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(item) = self.poll(py, &waker)? {
                return item.map(|(batch, shards)| Batch::new(py, batch, shards)).transpose();
            }
            // Without the loader's lock: other threads may use it meanwhile, and so may a signal's handler on this one.
            py.detach(|| thread::park_timeout(TICK));
            py.check_signals()?;
        }
    }
}

impl Epoch {
    /// The next item, if it is there.
    fn poll(&self, py: Python<'_>, waker: &Waker) -> PyResult<Poll<Item>> {
        let loader = self.loader.get();
        let mut inner = loader.lock(py)?;
        let inner = &mut *inner;
        if inner.iteration != self.iteration {
            return Err(PyRuntimeError::new_err(
                "the loader has begun another iteration, or was moved or restored",
            ));
        }
        if inner.loader.position().0 != self.epoch {
            return Ok(Poll::Ready(None));
        }
        loader.running_in.store(process::id(), Relaxed);
        inner.loader.adopt();
        let pipeline = &mut *inner.loader;
        let polled = py.detach(|| {
            let batches = pipeline.epoch(self.epoch);
            batches.map(|mut batches| Pin::new(&mut batches).poll_next(&mut Context::from_waker(waker)))
        });
        if !inner.loader.is_running() {
            loader.running_in.store(0, Relaxed);
        }
        match polled.map_err(error::config)? {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(None) => Ok(Poll::Ready(None)),
            Poll::Ready(Some(Ok(batch))) => Ok(Poll::Ready(Some((batch, inner.loader.shards().clone())))),
            Poll::Ready(Some(Err(error))) => {
                inner.iteration += 1;
                Err(error::pipeline(error))
            }
        }
    }
}

/// A batch and the shards that know its keys, or the end of the epoch.
type Item = Option<(simsiam_pipeline::Batch, Arc<ShardSet>)>;

/// Wakes a thread that waits for a batch.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
