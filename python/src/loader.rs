//! The loader; `epoch`: its batches.

mod epoch;

pub(crate) use epoch::Epoch;

use std::ffi::CString;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBool, PyDict, PyTuple};
use simsiam_pipeline::shards::Labels;
use simsiam_pipeline::{LoaderState, PipelineConfig, World};

use crate::process::OfProcess;
use crate::{arguments, custom, error, torch};

/// Streams augmented views of images, epoch by epoch: from folders, WebDataset tars, zips and Parquet files, on this machine,
/// in buckets and on web servers.
///
/// Iterating gives the batches of one epoch (:class:`Batch`), and the next iteration those of the next epoch. The bytes of
/// every batch are a function of images, recipe, seed, epoch and step alone: the same for any number of workers and ranks,
/// after a restart from ``state_dict()``, and whatever the images lie in, if their order is the same.
///
/// Parameters
/// ----------
/// shards:
///     Files, folders of these or of images, globs or brace patterns (``"data/train-{000..146}.tar"``), URLs of these
///     (``"s3://bucket/train/"``, ``gs``, ``az``, ``https``), or a ``shardindex.json`` of widsindex. One, several, or a dict with
///     weights (``{"photos/": 0.7, "paintings/": 0.3}``, or ``"photos/=0.7"`` each): every batch has these proportions.
/// recipe:
///     ``"imagenet"``, ``"cifar10"``, ``"swav"`` (2 views of 224 and 6 of 96), the path of a TOML file, or a dict or another
///     mapping; ``{"preset": "imagenet", "size": 96, "blur": None}`` is a preset with other fields.
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
///     2, True and True; 1, False and False with ``evaluation``. ``shuffle="window=8"`` shuffles the shards, and then the images of
///     eight at a time, for shards that the cache cannot hold all.
/// layout, dtype:
///     ``"NCHW"`` or ``"NHWC"``; ``"float32"``, ``"float16"`` (both normalised) or ``"uint8"`` (as they are).
/// prefetch:
///     Finished batches that may wait for the consumer, at least 1. Two more are under way at most, so that ``prefetch + 3``
///     are in memory with the one that the consumer has; those that it keeps come on top.
/// on_bad_sample, bad_sample_budget:
///     ``"skip"`` replaces images that cannot be used, until more than this share of all is bad; ``"fail"`` raises at the
///     first.
/// labels:
///     ``"own"``, what the source says: ``.cls`` or ``.json`` in a tar, the label column of a Parquet file, of folders and zips the
///     class folders where there is no doubt; ``"folders"``, the first folder; ``"parents"``, the folder that the image lies in;
///     ``"none"``; or the path of a table (CSV or TSV) with a file and its label in each line.
/// select, fraction, limit:
///     Only images that a condition holds for (``"label in [cat, dog] and key like 'train/*'"``), of those this share of each class
///     (more than 0, at most 1), and of those at most so many. A smaller share is a part of a larger one.
/// cache_dir, cache_size:
///     Where indexes go when a shard's folder is read-only, and what is unpacked or fetched; default ``~/.cache/simsiam``. At most so
///     many bytes of fetched shards; default 50 GiB.
/// fault_handler:
///     Whether the process may get a handler for SIGBUS with the first loader. With it a shard that shrinks while it is read gives bad
///     samples; every other SIGBUS goes to the handler that was there before, ``faulthandler``'s included. False: none is
///     installed, and samples are copied out of the shards by reading, with the same bytes and the same bad samples.
/// steps:
///     Steps of your own by the names that the recipe lists (``{"custom": {"name": "fog", "p": 0.5}}`` among a view's steps): callables
///     ``step(view, rng)``, with a NumPy array of size x size x 3 bytes, which they change or in whose place they return another, and
///     a ``numpy.random.Generator`` of this view alone. They run on the workers, one at a time for they hold the GIL.
///
/// Raises
/// ------
/// FileNotFoundError, ValueError, OSError
///     If shards or labels are missing, settings cannot work, or a shard cannot be read or fetched.
#[pyclass(frozen, module = "simsiam")]
pub(crate) struct Loader {
    inner: Mutex<Inner>,
    /// The [process of its threads](process_of_threads); known without its lock, which a forked child might find held for ever.
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

/// The process in which the loader has threads, or 0. Those that fetch remote shards live as long as it does.
fn process_of_threads(loader: &simsiam_pipeline::Loader) -> u32 {
    if loader.is_running() || loader.shards().is_remote() { process::id() } else { 0 }
}

impl Loader {
    /// The loader, if this process may use it.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Inner>> {
        let running_in = self.running_in.load(Relaxed);
        if running_in != 0 && running_in != process::id() {
            return Err(PyRuntimeError::new_err(
                "the loader's threads stayed in the process that forked this one: make the loader after the fork, close() it \
                 before (where no shard is remote), or start processes with the method \"spawn\"",
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
        labels=Labels::Own, select=None, fraction=None, limit=None, cache_dir=None, cache_size=None, fault_handler=true, steps=None
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
        shuffle: Option<Bound<'_, PyAny>>,
        drop_last: Option<bool>,
        layout: &str,
        dtype: &str,
        prefetch: i128,
        on_bad_sample: &str,
        bad_sample_budget: f64,
        #[pyo3(from_py_with = arguments::labels)] labels: Labels,
        select: Option<String>,
        fraction: Option<f64>,
        limit: Option<i128>,
        cache_dir: Option<PathBuf>,
        cache_size: Option<i128>,
        fault_handler: bool,
        steps: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let batch_size: usize = arguments::whole("batch_size", batch_size, 1..=u64::MAX)?;
        let workers: usize = arguments::whole("workers", workers, 1..=PipelineConfig::MAX_WORKERS as u64)?;
        let prefetch: usize = arguments::whole("prefetch", prefetch, 1..=u64::MAX)?;
        let limit: Option<u64> =
            limit.map(|limit| arguments::whole("limit", limit, 1..=u64::MAX)).transpose()?;
        let cache_size: Option<u64> =
            cache_size.map(|bytes| arguments::whole("cache_size", bytes, 1..=u64::MAX)).transpose()?;
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
        let shuffle = match shuffle {
            Some(shuffle) => shuffle,
            None => PyBool::new(py, !evaluation).to_owned().into_any(),
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
            .order(arguments::order(&shuffle)?)
            .last_batch(arguments::last_batch(drop_last.unwrap_or(!evaluation)))
            .layout(arguments::layout(layout)?)
            .dtype(arguments::dtype(dtype)?)
            .on_bad_sample(arguments::on_bad_sample(on_bad_sample, bad_sample_budget)?)
            .labels(labels.clone())
            .fault_handler(fault_handler);
        if let Some(views) = views {
            builder = builder.views(views);
        }
        if let Some(condition) = &select {
            builder = builder.select(condition);
        }
        if let Some(fraction) = fraction {
            builder = builder.fraction(fraction);
        }
        if let Some(samples) = limit {
            builder = builder.limit(samples);
        }
        if let Some(folder) = &cache_dir {
            builder = builder.cache_dir(folder);
        }
        if let Some(bytes) = cache_size {
            builder = builder.cache_size(bytes);
        }
        for (name, step) in steps.as_ref().map(custom::steps).transpose()?.unwrap_or_default() {
            builder = builder.step(name, step);
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
        match labels {
            Labels::Table(path) => arguments.set_item("labels", path)?,
            word => arguments.set_item("labels", String::from(word))?,
        }
        arguments.set_item("select", select)?;
        arguments.set_item("fraction", fraction)?;
        for (name, value) in [("limit", limit), ("cache_size", cache_size)] {
            arguments.set_item(name, value)?;
        }
        arguments.set_item("cache_dir", cache_dir)?;
        arguments.set_item("fault_handler", fault_handler)?;
        arguments.set_item("steps", steps)?;
        let running_in = AtomicU32::new(process_of_threads(&loader));
        let inner = Inner { loader: OfProcess::new(loader), is_restored: false, iteration: 0 };
        Ok(Self { inner: Mutex::new(inner), running_in, arguments: arguments.unbind() })
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
    ///     If it had other data, another choice or mixture of it, another batch size, recipe or number of views, or another ``shuffle``
    ///     or ``drop_last``.
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

    /// The names of the classes, from ``classes.txt`` beside the shards or from labels that are names; None if there are none.
    #[getter]
    fn class_names(&self, py: Python<'_>) -> PyResult<Option<Vec<String>>> {
        Ok(self.lock(py)?.loader.shards().class_names().map(<[String]>::to_vec))
    }

    /// Stops the threads. Batches stay as they are, and the next iteration starts them again.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut inner = self.lock(py)?;
        let inner = &mut *inner;
        py.detach(|| inner.loader.stop());
        self.running_in.store(process_of_threads(&inner.loader), Relaxed);
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
        let (shards, len) = (inner.loader.shards(), inner.loader.len());
        let samples = match (inner.loader.config().population(shards).len(), shards.len()) {
            (chosen, all) if chosen < all => format!("{chosen} of {all}"),
            (all, _) => all.to_string(),
        };
        Ok(format!(
            "simsiam.Loader({samples} samples, {len} batches an epoch, at epoch {epoch}, step {step})"
        ))
    }
}
