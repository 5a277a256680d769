//! A small labelled set of JPEG files, drawn by the program itself, so that a first run needs no download.
//!
//! It is a demo and not a benchmark: ten kinds of procedural textures and shapes. Colour, scale, orientation,
//! position, contrast, lighting and noise are drawn at random and say nothing about the class, so that what a
//! colour histogram or single pixels can tell is little, and what an encoder learns shows.
//!
//! - `paint`: one image, from a class and a random stream
//! - `pattern`: what is drawn, as a signed distance to its edge
//! - `random`: the random stream of one image

mod paint;
mod pattern;
mod random;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;

use paint::paint;
pub use pattern::Class;
use random::Random;

use crate::interrupt::{Interrupt, Interrupted};

/// Part of the record of a finished set: raised whenever the same configuration would draw other bytes.
const GENERATOR: u32 = 2;
const RECORD: &str = "demo.toml";
const JPEG_QUALITY: u8 = 90;
/// Images drawn in parallel between two reports of progress.
const CHUNK: usize = 256;

/// What to draw. The same configuration gives the same bytes, on any number of threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoConfig {
    /// Seed of every random choice.
    pub seed: u64,
    /// Images of each class for training.
    pub train_per_class: usize,
    /// Images of each class for evaluation.
    pub val_per_class: usize,
    /// Width and height of the images, in pixels: somewhat more than the 32 that the recipe crops.
    pub side: u32,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self { seed: 0, train_per_class: 500, val_per_class: 100, side: 40 }
    }
}

impl DemoConfig {
    /// Number of images in both splits.
    pub fn images(&self) -> usize {
        Class::ALL.len() * (self.train_per_class + self.val_per_class)
    }

    /// What a finished set says of itself; an existing set is used again only if its record is the same.
    fn record(&self) -> String {
        let Self { seed, train_per_class, val_per_class, side } = self;
        format!(
            "# Drawn by `simsiam train` for a first run: a demo, not a benchmark. Safe to delete.\n\
             generator = {GENERATOR}\nseed = {seed}\ntrain_per_class = {train_per_class}\n\
             val_per_class = {val_per_class}\nside = {side}\n"
        )
    }
}

/// Where the set lies: two folders with one folder of JPEG files for each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoSet {
    /// `train/<class>/<number>.jpg`
    pub train: PathBuf,
    /// `val/<class>/<number>.jpg`
    pub val: PathBuf,
    /// True if a complete set was there already.
    pub reused: bool,
}

/// Why the demo set could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder exists and is not this demo set, so it is left as it is.
    #[error("{}: holds something else than this demo set: move it away", .0.display())]
    Occupied(PathBuf),
    /// It was to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A file or folder could not be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An image could not be encoded.
    #[error("{}: cannot encode", path.display())]
    Encode {
        /// The file that was to hold it.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
}

/// Makes the demo set in `dir`, or finds it there.
///
/// The images are drawn in a hidden folder beside `dir` that takes its name when all are on the disk, so that an
/// interrupted run leaves nothing half made. `progress` is told the number of images done and their total.
///
/// # Errors
/// If `dir` holds something else, a file or folder cannot be written, or `interrupt` is set.
pub fn generate(
    dir: &Path,
    config: &DemoConfig,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<DemoSet, DemoError> {
    let set = |reused| DemoSet { train: dir.join("train"), val: dir.join("val"), reused };
    if is_complete(dir, config)? {
        return Ok(set(true));
    }
    let (partial, lock) = (beside(dir, "partial"), beside(dir, "lock"));
    make_dir(dir.parent().unwrap_or(Path::new("")))?;
    let _held_until_return = hold(&lock).map_err(io_error(&lock))?;
    if is_complete(dir, config)? {
        return Ok(set(true)); // made by another process while this one waited
    }
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(io_error(&partial))?;
    }
    if let Err(error) = draw_all(&partial, config, interrupt, progress) {
        // What cannot be removed now is removed when the set is made.
        let _ = fs::remove_dir_all(&partial);
        return Err(error);
    }
    let record = partial.join(RECORD);
    fs::write(&record, config.record()).map_err(io_error(&record))?;
    fs::rename(&partial, dir).map_err(io_error(dir))?;
    Ok(set(false))
}

/// Waits until no other process holds this lock file; it is released when the answer is dropped.
pub(crate) fn hold(lock: &Path) -> io::Result<File> {
    let file = File::create(lock)?;
    file.lock()?;
    Ok(file)
}

/// True if `dir` holds the finished set of this configuration, false if there is nothing.
fn is_complete(dir: &Path, config: &DemoConfig) -> Result<bool, DemoError> {
    if !dir.exists() {
        return Ok(false);
    }
    match fs::read_to_string(dir.join(RECORD)) {
        Ok(record) if record == config.record() => Ok(true),
        _ => Err(DemoError::Occupied(dir.to_owned())),
    }
}

/// Draws and writes every image of both splits under `root`.
fn draw_all(
    root: &Path,
    config: &DemoConfig,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), DemoError> {
    for split in ["train", "val"] {
        for class in Class::ALL {
            make_dir(&root.join(split).join(class.name()))?;
        }
    }
    let total = config.images();
    for start in (0..total).step_by(CHUNK) {
        let end = total.min(start + CHUNK);
        (start..end).into_par_iter().try_for_each(|number| draw_one(root, config, number))?;
        progress(end, total);
        interrupt.check()?;
    }
    Ok(())
}

/// Draws and writes one image; its number tells split, class and random stream.
fn draw_one(root: &Path, config: &DemoConfig, number: usize) -> Result<(), DemoError> {
    let train = Class::ALL.len() * config.train_per_class;
    let (split, within) = if number < train { ("train", number) } else { ("val", number - train) };
    let class = Class::ALL[within % Class::ALL.len()];
    let file = format!("{:05}.jpg", within / Class::ALL.len());
    let path = root.join(split).join(class.name()).join(file);

    let image = paint(class, config.side, &mut Random::new(config.seed, number as u64));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .encode_image(&image)
        .map_err(|source| DemoError::Encode { path: path.clone(), source })?;
    fs::write(&path, jpeg).map_err(io_error(&path))
}

/// A hidden sibling of `dir`.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.{suffix}"))
}

fn make_dir(path: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const SMALL: DemoConfig = DemoConfig { seed: 7, train_per_class: 3, val_per_class: 2, side: 40 };

    fn make(dir: &Path, config: &DemoConfig) -> DemoSet {
        generate(dir, config, &Interrupt::default(), &mut |_, _| ()).unwrap()
    }

    /// Every file of the set: its path below `dir`, and its bytes.
    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name = PathBuf::from(path.file_name().unwrap());
                found.extend(files(&path).into_iter().map(|(file, bytes)| (name.join(file), bytes)));
            } else {
                found.insert(path.file_name().unwrap().into(), fs::read(&path).unwrap());
            }
        }
        found
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let parent = tempfile::tempdir().unwrap();
        let on = |threads, name: &str, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let dir = parent.path().join(name);
            pool.install(|| make(&dir, &DemoConfig { seed, ..SMALL }));
            let mut all = files(&dir);
            all.remove(Path::new(RECORD));
            all
        };
        let first = on(1, "one", 7);
        assert!(first == on(3, "three", 7));
        let images = |set: &BTreeMap<PathBuf, Vec<u8>>| set.values().cloned().collect::<BTreeSet<_>>();
        assert!(images(&first).is_disjoint(&images(&on(2, "other seed", 8))));
        assert_eq!(images(&first).len(), SMALL.images(), "two images are the same");
    }

    #[test]
    fn an_interrupt_leaves_nothing_behind() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("set");
        let stopped = generate(&dir, &SMALL, &Interrupt::raised(), &mut |_, _| ());
        assert!(matches!(stopped, Err(DemoError::Interrupted(_))));
        let names: Vec<_> =
            fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [".set.lock"], "only the lock, which others may wait for");
        assert_eq!(make(&dir, &SMALL).train, dir.join("train"));
    }

    #[test]
    fn holds_the_promised_number_of_decodable_images_of_each_class() {
        let parent = tempfile::tempdir().unwrap();
        let mut last = (0, 0);
        let mut note = |done, total| last = (done, total);
        let set = generate(&parent.path().join("set"), &SMALL, &Interrupt::default(), &mut note).unwrap();
        assert_eq!(last, (50, 50));
        for (split, per_class) in [(&set.train, SMALL.train_per_class), (&set.val, SMALL.val_per_class)] {
            let folders: BTreeSet<_> = files(split).keys().map(|f| f.parent().unwrap().to_owned()).collect();
            assert_eq!(folders, Class::ALL.map(|class| class.name().into()).into());
            assert_eq!(files(split).len(), 10 * per_class);
        }
        for jpeg in files(&set.train).values() {
            let image = image::load_from_memory_with_format(jpeg, image::ImageFormat::Jpeg).unwrap();
            assert_eq!((image.width(), image.height()), (SMALL.side, SMALL.side));
        }
    }

    #[test]
    fn classes_are_numbered_in_order_of_their_names() {
        assert!(Class::ALL.map(Class::name).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_complete_set_is_used_again_and_an_interrupted_one_is_redone() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("set");
        let partial = beside(&dir, "partial");
        fs::create_dir_all(partial.join("train/dots")).unwrap();
        fs::write(partial.join("train/dots/left-over.jpg"), "half").unwrap();

        assert!(!make(&dir, &SMALL).reused);
        assert_eq!(files(&dir).len(), SMALL.images() + 1, "the images and the record");
        assert!(!partial.exists());
        assert!(make(&dir, &SMALL).reused);
    }

    #[test]
    fn processes_that_start_together_make_one_set() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("set");
        let made: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..3).map(|_| scope.spawn(|| make(&dir, &SMALL).reused)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|&&reused| !reused).count(), 1);
    }

    #[test]
    fn leaves_a_folder_alone_that_it_did_not_make() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("precious"), "data").unwrap();
        let refused = generate(parent.path(), &SMALL, &Interrupt::default(), &mut |_, _| ());
        assert!(matches!(refused, Err(DemoError::Occupied(_))));
        assert_eq!(fs::read_to_string(parent.path().join("precious")).unwrap(), "data");
    }
}
