//! Features as [`embed`](super::embed) wrote them, read back for the shards that they were made of.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::tensor::{Dtype, Metadata};
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::decode::Decoder;
use simsiam_pipeline::sampler::SampleSet;

use super::kept::line;
use super::npy;
use crate::error::InputError;

/// The features of some samples, with their keys.
#[derive(Debug)]
pub struct SavedFeatures {
    /// Length of one feature.
    pub dim: usize,
    /// The features, one row of `dim` values each.
    pub values: Vec<f32>,
    /// One key for each row, with a line feed between two.
    keys: String,
}

/// Whether a file is one that `embed` wrote, by its name, or by the tensors in it.
pub fn is_saved(path: &Path) -> bool {
    let is = |extension| path.extension().is_some_and(|found| found == extension);
    is("npy")
        || File::open(path)
            .is_ok_and(|mut file| Tensors::read(&mut file).is_ok_and(|it| it.features.is_some()))
}

impl SavedFeatures {
    /// Reads a file, and the list of keys beside one in NumPy's format.
    ///
    /// # Errors
    /// If it cannot be read, or does not hold what `embed` writes.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let is_npy = path.extension().is_some_and(|extension| extension == "npy");
        let read = if is_npy { Self::read_npy(path) } else { Self::read_safetensors(path) };
        let wrong = |text| InputError::new(format!("{}: {text}", path.display()));
        let read = read.map_err(|error| wrong(error.to_string()))?;
        match (read.rows(), read.keys.split('\n').count()) {
            (0, _) => Err(wrong("holds no features".into())),
            (rows, keys) if rows != keys => Err(wrong(format!("has {rows} features, but {keys} keys"))),
            _ => Ok(read),
        }
    }

    fn read_npy(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let [rows, dim] = npy::read_shape(&mut file)?;
        let values = read_values(&mut file, rows, dim)?;
        let keys = path.with_extension("keys.txt");
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", keys.display()));
        let mut keys = fs::read_to_string(&keys).map_err(named)?;
        keys.truncate(keys.strip_suffix('\n').map_or(keys.len(), str::len));
        Ok(Self { dim, values, keys })
    }

    fn read_safetensors(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let Tensors { features, keys } = Tensors::read(&mut file)?;
        let (Some((rows, dim, features)), Some((keys, length))) = (features, keys) else {
            return Err(io::Error::other("holds no `features` of F32 with their `keys`"));
        };
        file.seek(SeekFrom::Start(keys))?;
        let mut text = String::new();
        (&mut file).take(length).read_to_string(&mut text)?;
        file.seek(SeekFrom::Start(features))?;
        Ok(Self { dim, values: read_values(&mut file, rows, dim)?, keys: text })
    }

    /// Drops the rows that are not of `members`; `samples` are those of the rows, and afterwards of the rows that are left.
    pub fn keep(&mut self, samples: &mut Vec<u64>, members: &SampleSet) {
        let rows = self.values.chunks_exact(self.dim).zip(&*samples);
        let kept = rows.filter(|(_, sample)| members.contains(**sample)).flat_map(|(row, _)| row);
        self.values = kept.copied().collect();
        samples.retain(|sample| members.contains(*sample));
    }

    fn rows(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// The number of the sample that each row is of: `members` of the shards in their order, but for the unusable ones. `name` is
    /// the file's, for errors.
    ///
    /// # Errors
    /// If the rows are of other samples, or are missing for some.
    pub fn samples(
        &self,
        shards: &ShardSet,
        members: impl Iterator<Item = u64>,
        name: &Path,
    ) -> Result<Vec<u64>, InputError> {
        let wrong = |text: String| {
            let name = name.display();
            InputError::new(format!(
                "{name}: {text}: these are the features of other shards (`simsiam embed` makes those of any)"
            ))
        };
        let mut keys = self.keys.split('\n').peekable();
        let mut samples = Vec::with_capacity(self.rows());
        for sample in members {
            let at = shards.locate(sample);
            let found = keys.next_if(|key| *key == line(at.key.clone()));
            if found.is_some() {
                samples.push(sample);
            } else if is_usable(shards, sample) {
                return Err(wrong(match keys.peek() {
                    Some(key) => format!("row {} is that of {key:?}, and not of {at}", samples.len()),
                    None => format!("has {} rows, and none for {at}", self.rows()),
                }));
            }
        }
        match keys.next() {
            Some(key) => {
                Err(wrong(format!("row {} is that of {key:?}, which the shards have not", samples.len())))
            }
            None => Ok(samples),
        }
    }
}

fn is_usable(shards: &ShardSet, sample: u64) -> bool {
    shards.read(sample).is_ok_and(|encoded| Decoder::default().decode(&encoded.bytes).is_ok())
}

/// What the format allows a header, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;

/// Where a safetensors file has its features and keys.
struct Tensors {
    /// Rows, values in a row, and where they begin.
    features: Option<(usize, usize, u64)>,
    /// Where they begin, and how many bytes they are.
    keys: Option<(u64, u64)>,
}

impl Tensors {
    fn read(file: &mut File) -> io::Result<Self> {
        let no_tensors =
            |cause: &dyn std::fmt::Display| io::Error::other(format!("not a safetensors file ({cause})"));
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|error| no_tensors(&error))?;
        let bytes = u64::from_le_bytes(length);
        if bytes > LONGEST_HEADER {
            return Err(no_tensors(&"its header is too long"));
        }
        let mut header = Vec::new();
        file.take(bytes).read_to_end(&mut header)?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| no_tensors(&error))?;
        let begin = |offset: usize| 8 + header.len() as u64 + offset as u64;
        let features = metadata.info("features").and_then(|info| match (info.dtype, &info.shape[..]) {
            (Dtype::F32, &[rows, dim]) => Some((rows, dim, begin(info.data_offsets.0))),
            _ => None,
        });
        let keys = metadata.info("keys").filter(|info| info.dtype == Dtype::U8);
        let keys = keys.map(|info| {
            let (from, to) = info.data_offsets;
            (begin(from), (to - from) as u64)
        });
        Ok(Self { features, keys })
    }
}

/// Little-endian numbers from where the file is. What it cannot hold is refused before it is made room for.
fn read_values(file: &mut File, rows: usize, dim: usize) -> io::Result<Vec<f32>> {
    let left = file.metadata()?.len().saturating_sub(file.stream_position()?);
    let values = rows.checked_mul(dim).filter(|&values| values as u64 <= left / 4);
    let values = values.ok_or_else(|| io::Error::other("is cut"))?;
    let mut numbers = vec![0f32; values];
    file.read_exact(bytemuck::cast_slice_mut(&mut numbers))?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use simsiam_pipeline::shards::{OpenOptions, ShardWriter};

    use super::super::EmbeddingFile;
    use super::super::kept::Kept;
    use super::super::npy::NpyFiles;
    use super::super::safetensors::SafetensorsFile;
    use super::*;

    /// Four images, the third of which is none.
    fn shards(dir: &Path, name: &str, keys: [&str; 4]) -> ShardSet {
        let mut png = io::Cursor::new(Vec::new());
        image::RgbImage::new(2, 2).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let path = dir.join(name);
        let mut writer = ShardWriter::create(&path).unwrap();
        for (index, key) in keys.into_iter().enumerate() {
            let bytes = if index == 2 { &b"\x89PNG\r\n\x1a\n, but not really"[..] } else { png.get_ref() };
            writer.append(key, "png", bytes, None).unwrap();
        }
        writer.finish().unwrap();
        ShardSet::open(&[path.to_str().unwrap()], &OpenOptions::default()).unwrap()
    }

    #[test]
    fn both_formats_are_read_back_for_their_own_shards_alone() {
        let dir = tempfile::tempdir().unwrap();
        let own = shards(dir.path(), "own.tar", ["a", "b", "c", "d"]);
        let chosen = SampleSet::new(&[0, 1, 3], 4);
        let mut kept = Kept::new(&own, None);
        let mut kept_of_chosen = Kept::new(&own, Some(&chosen));
        for sample in [0, 1, 3] {
            kept.push(sample);
            kept_of_chosen.push(sample);
        }
        assert!(kept.keys().eq(kept_of_chosen.keys()) && kept.len() == 3 && kept_of_chosen.len() == 3);
        let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let paths = ["a.npy", "a.safetensors"].map(|name| dir.path().join(name));
        let files: [Box<dyn EmbeddingFile>; 2] = [
            Box::new(NpyFiles::create(&paths[0], 2).unwrap()),
            Box::new(SafetensorsFile::create(&paths[1], 2, 4, &Default::default()).unwrap()),
        ];
        for (mut file, path) in files.into_iter().zip(&paths) {
            file.append(&rows).unwrap();
            file.finish(&kept).unwrap();
            assert!(is_saved(path));
            let mut saved = SavedFeatures::read(path).unwrap();
            assert_eq!((saved.dim, &saved.values[..]), (2, &rows[..]));
            let mut samples = saved.samples(&own, 0..4, path).unwrap();
            assert_eq!(samples, [0, 1, 3]);
            for (keys, expected) in [
                (["a", "x", "c", "d"], "row 1 is that of \"b\", and not of shard"),
                (["a", "b", "c", "x"], "row 2 is that of \"d\", and not of shard"),
                (["a", "b", "d", "e"], "has 3 rows, and none for shard"),
            ] {
                let other = shards(dir.path(), &format!("{}.tar", keys.concat()), keys);
                let error = saved.samples(&other, 0..4, path).unwrap_err().to_string();
                assert!(error.contains(expected), "{error}");
            }
            saved.keep(&mut samples, &SampleSet::new(&[0, 2, 3], 4));
            assert_eq!((samples, saved.values), (vec![0, 3], vec![1.0, 2.0, 5.0, 6.0]));
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes, expected) in [
            ("a.npy", &b"text"[..], "a.npy: no NumPy file of features"),
            ("b.safetensors", b"text", "b.safetensors: "),
            ("c.safetensors", &[255; 64], "not a safetensors file"),
            ("d.safetensors", b"\x02\0\0\0\0\0\0\0{}", "holds no `features` of F32 with their `keys`"),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let error = SavedFeatures::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
