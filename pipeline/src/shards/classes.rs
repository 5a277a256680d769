//! The names of the classes, and the labels that they stand for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::shard::Shard;
use super::{ShardError, warnings};

/// One class name a line; line `i` names label `i`.
pub(crate) const FILE_NAME: &str = "classes.txt";

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

impl Classes {
    /// The class names of the folders that hold `shards`; none when there are none or the folders disagree.
    pub(super) fn beside(shards: &[PathBuf]) -> Result<Classes, ShardError> {
        let folders: BTreeSet<&Path> = shards.iter().filter_map(|shard| shard.parent()).collect();
        let mut classes = Classes::default();
        for folder in folders {
            let path = folder.join(FILE_NAME);
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(ShardError::io("read", &path)(error)),
            };
            let (text, problem) = decode(&bytes);
            classes.warnings.extend(problem.map(|problem| format!("{}: {problem}", path.display())));
            let here: Vec<String> = text.lines().map(str::to_owned).collect();
            if classes.names.as_ref().is_some_and(|names| *names != here) {
                classes.warnings.push(format!(
                    "{}: differs from the other folders' {FILE_NAME}; classes stay unnamed",
                    path.display()
                ));
                (classes.names, classes.listed) = (None, false);
                break;
            }
            (classes.names, classes.listed) = (Some(here), true);
        }
        Ok(classes)
    }

    /// Gives every name that is a label its number: its place in the list `given`, or in the file beside the shards, or among all
    /// names of these shards.
    pub(super) fn settle(mut self, shards: &mut [Shard], given: Option<&[String]>) -> Classes {
        let samples = samples_by_name(shards);
        if samples.is_empty() {
            return self;
        }
        if let Some(given) = given {
            (self.names, self.listed) = (Some(given.to_vec()), true);
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
    const MOST_SHOWN: usize = 10;
    let labels = warnings::are(samples.values().sum(), "label");
    let mut which: Vec<_> = samples.iter().map(|(name, count)| format!("{name:?} {count}")).collect();
    if which.len() > MOST_SHOWN {
        which.truncate(MOST_SHOWN);
        which.push("...".into());
    }
    let which = which.join(", ");
    if has_numbers {
        format!(
            "{labels} not used, being names beside others that are numbers ({which}); a {FILE_NAME} beside the shards says which number a name has"
        )
    } else {
        format!("{labels} not in the list of {classes} classes, so numbered behind it ({which})")
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
