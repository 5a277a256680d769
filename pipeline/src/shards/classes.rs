//! Class names, and the labels that they stand for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::pattern::Resolved;
use super::shard::Shard;
use super::{ShardError, warnings};

/// One class name a line; line `i` names label `i`.
pub(crate) const FILE_NAME: &str = "classes.txt";

/// Most bytes of a list of classes.
const MAX_LIST: u64 = 16 << 20;

/// The classes of a set.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// Entry `i` names label `i`.
    pub(super) names: Option<Vec<String>>,
    /// Whether the names are those of a list, and not just those that occur as labels.
    pub(super) listed: bool,
    /// What is to be said of them.
    pub(super) warnings: Vec<String>,
}

/// The lists beside the shards, by their folders.
#[derive(Debug, Default)]
pub(super) struct Lists {
    folders: BTreeMap<PathBuf, Vec<String>>,
    warnings: Vec<String>,
}

impl Lists {
    /// The lists in the folders that hold the shards.
    pub(super) fn beside(resolved: &Resolved) -> Result<Lists, ShardError> {
        let folders: BTreeMap<&Path, &Path> =
            resolved.shards.iter().map(|shard| (folder_of(shard), shard.as_path())).collect();
        let mut lists = Lists::default();
        for (folder, shard) in folders {
            let path = folder.join(FILE_NAME);
            let list = match resolved.remote.read_beside(shard, FILE_NAME, MAX_LIST)? {
                Some(list) => Some(list),
                None => read_list(&path)?,
            };
            let Some(bytes) = list else { continue };
            let (text, problem) = decode(&bytes);
            lists.warnings.extend(problem.map(|problem| format!("{}: {problem}", path.display())));
            // Names are printed, and a terminal takes control characters for orders.
            let names = text.lines().map(|name| name.replace(char::is_control, "\u{fffd}")).collect();
            lists.folders.insert(folder.to_owned(), names);
        }
        Ok(lists)
    }

    /// Gives every label its number: a name its place in the list `given`, or in the list beside the shards, or among all
    /// names of these shards; and where lists differ, a number the place of the name that its own list has for it.
    pub(super) fn number_labels(self, shards: &mut [Shard], given: Option<&[String]>) -> Classes {
        let mut classes = Classes { warnings: self.warnings, ..Classes::default() };
        let mut lists = self.folders;
        for shard in shards.iter() {
            // A list beside the shards is the user's word.
            if let Some(names) = shard.class_names().filter(|_| !lists.contains_key(folder_of(shard.path())))
            {
                lists.insert(shard.path().to_owned(), names.to_vec());
            }
        }
        classes.names = given.map(<[String]>::to_vec).or_else(|| lists.values().next().cloned());
        classes.listed = classes.names.is_some();
        for (place, own) in lists {
            let names = classes.names.get_or_insert_default();
            if own == *names {
                continue;
            }
            let before = names.len();
            let labels: Vec<u32> = own.iter().map(|name| place_of(name, names)).collect();
            if names.len() > before {
                let more = &names[before..];
                let path = if place.is_dir() { place.join(FILE_NAME) } else { place.clone() };
                classes.warnings.push(format!(
                    "{}: {} not among the {before} classes of the other list, so numbered behind them ({})",
                    path.display(),
                    warnings::are(more.len() as u64, "name"),
                    warnings::some_of(more)
                ));
            }
            for shard in
                shards.iter_mut().filter(|shard| shard.path() == place || folder_of(shard.path()) == place)
            {
                shard.renumber(labels.clone());
            }
        }
        classes.settle_names(shards)
    }
}

/// The place of a name in a list, to which it is added if it is not there.
fn place_of(name: &str, names: &mut Vec<String>) -> u32 {
    let place = names.iter().position(|other| other.trim() == name.trim()).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    place as u32
}

/// The folder that a list would lie in: that of a shard, or the folder itself whose images are a source.
fn folder_of(shard: &Path) -> &Path {
    if shard.is_dir() { shard } else { shard.parent().unwrap_or(Path::new("")) }
}

/// A list's bytes; `None` where there is no such file.
fn read_list(path: &Path) -> Result<Option<Vec<u8>>, ShardError> {
    let failed = |error| ShardError::io("read", path)(error);
    let refused = |why: &str| failed(io::Error::new(io::ErrorKind::InvalidInput, why));
    // A pipe would wait for someone to write into it.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(_) if fs::symlink_metadata(path).is_err() => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.is_file() {
        return Err(refused("not a file"));
    }
    if metadata.len() > MAX_LIST {
        return Err(refused("too long for a list of classes"));
    }
    fs::read(path).map(Some).map_err(failed)
}

impl Classes {
    /// Gives every name that is a label its number.
    fn settle_names(mut self, shards: &mut [Shard]) -> Classes {
        let samples = samples_by_name(shards);
        if samples.is_empty() {
            return self;
        }
        let mut names = self.names.take().unwrap_or_default();
        let has_numbers = shards.iter().any(|shard| shard.numbered() > 0);
        let listed: BTreeSet<&str> = names.iter().map(|name| name.trim()).collect();
        let unlisted: BTreeMap<_, _> =
            samples.into_iter().filter(|(name, _)| !listed.contains(name.as_str())).collect();
        if !unlisted.is_empty() && (self.listed || has_numbers) {
            self.warnings.push(unlisted_names(&unlisted, names.len(), has_numbers));
        }
        if !has_numbers {
            names.extend(unlisted.into_keys());
        }
        // From the back, so that the first of two lines with the same name counts.
        let labels = (0..names.len() as u32).zip(&names).rev();
        let labels: HashMap<&str, u32> = labels.map(|(label, name)| (name.trim(), label)).collect();
        for shard in shards {
            shard.name_labels(|name| labels.get(name).copied());
        }
        self.names = Some(names).filter(|names| !names.is_empty());
        self
    }
}

/// The names that are labels, and how many samples have each.
fn samples_by_name(shards: &[Shard]) -> BTreeMap<String, u64> {
    let mut samples = BTreeMap::new();
    for (name, count) in shards.iter().flat_map(Shard::names).filter(|(_, count)| *count > 0) {
        *samples.entry(name.clone()).or_default() += count;
    }
    samples
}

/// What becomes of labels whose names are in no list.
fn unlisted_names(samples: &BTreeMap<String, u64>, classes: usize, has_numbers: bool) -> String {
    let labels = warnings::are(samples.values().sum(), "label");
    let which: Vec<_> = samples.iter().map(|(name, count)| format!("{count} of {name:?}")).collect();
    let which = warnings::some_of(&which);
    if has_numbers {
        format!(
            "{labels} not used, as a name among numbers ({which}); a {FILE_NAME} beside the shards says which number a name has"
        )
    } else {
        let plural = if classes == 1 { "" } else { "es" };
        format!("{labels} not in the list of {classes} class{plural}, so numbered behind it ({which})")
    }
}

/// The text, and what is wrong with its encoding.
fn decode(bytes: &[u8]) -> (Cow<'_, str>, Option<String>) {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|&bytes| unit(bytes)).collect();
        (String::from_utf16_lossy(&units).into(), None)
    };
    match bytes {
        // As editors on Windows mark their files.
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => match std::str::from_utf8(rest) {
            Ok(text) => (text.into(), None),
            Err(error) => {
                let at = error.valid_up_to();
                let problem = format!(
                    "not UTF-8 (byte 0x{:02x} at offset {at}), so read with replacement characters",
                    rest[at]
                );
                (String::from_utf8_lossy(rest), Some(problem))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_file_of_some_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        assert!(read_list(&path).unwrap().is_none());
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(read_list(&path).is_err(), "a dangling link");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(read_list(&path).is_err(), "a device");
    }

    #[test]
    fn every_encoding_is_read() {
        let lines = |bytes: &[u8]| {
            let (text, problem) = decode(bytes);
            (text.lines().map(str::to_owned).collect::<Vec<_>>(), problem)
        };
        let expected = (vec!["cat".to_owned(), "größe".to_owned()], None);
        let text = "cat\r\ngröße\n";
        assert_eq!(lines(text.as_bytes()), expected);
        assert_eq!(lines(format!("\u{feff}{text}").as_bytes()), expected);
        let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(lines(&utf16), expected);
        let problem = "not UTF-8 (byte 0xe9 at offset 7), so read with replacement characters".to_owned();
        assert_eq!(lines(b"cat\ncaf\xe9\n"), (vec!["cat".into(), "caf\u{fffd}".into()], Some(problem)));
    }
}
