//! Labels that the source itself does not have: from the folders of its images, or from a table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use self::table::{Above, Table};
use super::ShardError;
use super::finding::FindingKind;
use super::index::{IndexBuilder, StoredLabel};
use super::label::Label;
use super::name;
use super::shard::Shard;

mod table;

/// Where the labels of a set come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Labels {
    /// The labels in a tar or a Parquet file. For folders and zips, the folders that hold the images, if these are
    /// clearly classes: every image lies in one, and each has images of its own.
    #[default]
    Own,
    /// The first folder below the source: `cat` for `photos/cat/indoors/x.jpg`.
    Folders,
    /// The folder that the image lies in: `cat/indoors`.
    Parents,
    /// No labels.
    None,
    /// A table (CSV or TSV) of files and labels.
    Table(PathBuf),
}

impl From<String> for Labels {
    /// `own`, `folders`, `parents`, `none`, or a table's path.
    fn from(text: String) -> Self {
        match text.as_str() {
            "own" => Self::Own,
            "folders" => Self::Folders,
            "parents" => Self::Parents,
            "none" => Self::None,
            path => Self::Table(path.into()),
        }
    }
}

impl From<Labels> for String {
    fn from(labels: Labels) -> String {
        match labels {
            Labels::Own => "own".into(),
            Labels::Folders => "folders".into(),
            Labels::Parents => "parents".into(),
            Labels::None => "none".into(),
            Labels::Table(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// Labels as indexing gives them.
#[derive(Debug)]
pub(crate) enum Labelling {
    Own,
    Folders(ClassFolder),
    Table(Box<Table>),
}

/// Which folder is the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClassFolder {
    First,
    Last,
}

impl Labelling {
    /// Reads the table, if labels come from one.
    pub(crate) fn new(labels: &Labels) -> Result<Labelling, ShardError> {
        Ok(match labels {
            // Those that the index has are passed over later: no index of its own is needed.
            Labels::Own | Labels::None => Self::Own,
            Labels::Folders => Self::Folders(ClassFolder::First),
            Labels::Parents => Self::Folders(ClassFolder::Last),
            Labels::Table(path) => Self::Table(Box::new(Table::read(path)?)),
        })
    }

    /// Refuses a table that has no label for any sample.
    pub(crate) fn check_use(&self, shards: &[Shard]) -> Result<(), ShardError> {
        match self {
            Self::Table(table)
                if shards.iter().all(|shard| shard.numbered() == 0 && shard.names().is_empty()) =>
            {
                Err(table.unused(shards.first().map(|shard| shard.locate(0).key)))
            }
            _ => Ok(()),
        }
    }

    /// Says which files of a table are none of the samples.
    pub(crate) fn unmatched(&self, shards: &[Shard]) -> Option<String> {
        let Self::Table(table) = self else { return None };
        table.unmatched(shards.iter().flat_map(|shard| {
            let above = Rc::new(Above::of(shard.path()));
            (0..shard.samples()).map(move |sample| (shard.locate(sample).key.into_bytes(), above.clone()))
        }))
    }

    /// Tells an index with these labels from others of the same source; empty for the source's own.
    pub(crate) fn variant(&self) -> String {
        match self {
            Self::Own => String::new(),
            Self::Folders(which) => format!("{which:?}"),
            Self::Table(table) => format!("{:016x}-below", table.hash()),
        }
    }

    /// Labels all samples of a source whose keys are paths, and has none itself.
    pub(crate) fn label_paths(&self, source: &Path, index: &mut IndexBuilder) {
        match self {
            Self::Own => label_by_certain_folders(index),
            other => other.relabel(source, index),
        }
    }

    /// Labels all samples of a source that has labels, where others are asked for.
    pub(crate) fn relabel(&self, source: &Path, index: &mut IndexBuilder) {
        if !matches!(self, Self::Own) {
            index.class_names.clear();
        }
        match self {
            Self::Own => {}
            Self::Folders(which) => {
                let first = common_folders(index);
                // Where all images lie in one folder, that is their class.
                label_by_folders(index, first.saturating_sub(usize::from(deepest(index) == first)), *which);
            }
            Self::Table(table) => {
                let above = Above::of(source);
                set_labels(index, |key| table.label(key, &above));
            }
        }
    }
}

/// Class folders where there can be no doubt; otherwise no labels, and a finding if there are folders.
fn label_by_certain_folders(index: &mut IndexBuilder) {
    /// Whether images lie in the folder itself.
    type HasOwn = bool;
    let first = common_folders(index);
    let mut tops: BTreeMap<String, HasOwn> = BTreeMap::new();
    let mut loose = 0;
    for (_, key, _) in index.samples_from(0) {
        let mut folders = name::folders(key).skip(first);
        match folders.next() {
            Some(top) => {
                let top = String::from_utf8_lossy(top);
                let has_own = folders.next().is_none();
                match tops.get_mut(&*top) {
                    Some(own) => *own |= has_own,
                    None => drop(tops.insert(top.into_owned(), has_own)),
                }
            }
            None => loose += 1,
        }
    }
    if tops.is_empty() {
        return;
    }
    let are_parts = tops.keys().any(|top| is_part_of_a_data_set(top));
    if loose > 0 || are_parts || tops.values().any(|has_own| !has_own) {
        let found = if loose > 0 {
            "some images lie in no folder"
        } else if are_parts {
            "they are parts of a data set"
        } else {
            "there are folders within folders"
        };
        let samples = index.samples();
        return index.findings.push_all(FindingKind::UnclearFolders, samples, found);
    }
    label_by_folders(index, first, ClassFolder::First);
}

/// Whether a folder's name is that of a part of a data set, such as `train` or `val2017`.
fn is_part_of_a_data_set(name: &str) -> bool {
    const PARTS: [&str; 13] = [
        "train",
        "training",
        "val",
        "valid",
        "validation",
        "test",
        "testing",
        "dev",
        "eval",
        "unlabeled",
        "unlabelled",
        "trainval",
        "extra",
    ];
    let name = name.to_lowercase();
    let stem =
        name.trim_end_matches(|character: char| character.is_ascii_digit() || "_- ".contains(character));
    PARTS.contains(&stem)
}

/// How many folders all samples' keys begin with.
fn common_folders(index: &IndexBuilder) -> usize {
    let mut samples = index.samples_from(0).map(|(_, key, _)| key);
    let Some(first) = samples.next() else { return 0 };
    let first: Vec<&[u8]> = name::folders(first).collect();
    samples.fold(first.len(), |common, key| {
        name::folders(key).zip(&first[..common]).take_while(|(own, other)| own == *other).count()
    })
}

/// Most folders that an image lies in.
fn deepest(index: &IndexBuilder) -> usize {
    index.samples_from(0).map(|(_, key, _)| name::folders(key).count()).max().unwrap_or(0)
}

fn label_by_folders(index: &mut IndexBuilder, skipped: usize, which: ClassFolder) {
    set_labels(index, |key| {
        let folders: Vec<&[u8]> = name::folders(key).skip(skipped).collect();
        let class = match which {
            ClassFolder::First => folders.first()?.to_vec(),
            ClassFolder::Last => folders.join(&b'/'),
        };
        (!class.is_empty()).then(|| Label::Name(String::from_utf8_lossy(&class).into_owned()))
    });
}

/// Gives every sample the label that its key has.
fn set_labels(index: &mut IndexBuilder, label: impl Fn(&[u8]) -> Option<Label>) {
    let labels: Vec<Option<Label>> = index.samples_from(0).map(|(_, key, _)| label(key)).collect();
    for (position, label) in labels.into_iter().enumerate() {
        let stored: Option<StoredLabel> = match label.as_ref().map(|label| index.store(label)) {
            Some(Err(_)) => {
                index.findings.push(FindingKind::TooManyNames, b"", 0, "");
                None
            }
            Some(Ok(stored)) => Some(stored),
            None => None,
        };
        index.set_label(position, stored);
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::Record;
    use super::*;

    /// The labels that keys get, as names; and whether something was found.
    fn labels(labelling: &Labelling, keys: &[&str]) -> (Vec<Option<String>>, bool) {
        let mut index = IndexBuilder::default();
        for key in keys {
            index
                .push(
                    Record { offset: 0, length: 1, crc32: None, label: None, is_plain: false },
                    key.as_bytes(),
                )
                .unwrap();
        }
        labelling.label_paths(Path::new(""), &mut index);
        let named = |label: Option<StoredLabel>| match label? {
            StoredLabel::Name(place) => Some(index.name(place).to_owned()),
            StoredLabel::Number(number) => Some(number.to_string()),
        };
        let labels = index.samples_from(0).map(|(_, _, label)| named(label)).collect();
        (labels, index.findings.counts().count() > 0)
    }

    fn some(names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| Some((*name).to_owned())).collect()
    }

    #[test]
    fn folders_are_classes_where_they_can_be_nothing_else() {
        let own = |keys: &[&str]| labels(&Labelling::Own, keys);
        assert_eq!(own(&["cat/a.jpg", "cat/b.jpg", "dog/a.jpg"]), (some(&["cat", "cat", "dog"]), false));
        assert_eq!(
            own(&["photos/cat/a", "photos/dog/a"]),
            (some(&["cat", "dog"]), false),
            "below a common folder"
        );
        assert_eq!(own(&["cat/in/a", "cat/b", "dog/a"]), (some(&["cat", "cat", "dog"]), false));
        assert_eq!(own(&["a.jpg", "b.jpg"]), (vec![None, None], false));
        assert_eq!(own(&["cat/a.jpg", "b.jpg"]), (vec![None, None], true), "a loose image");
        assert_eq!(own(&["2020/may/a", "2021/b"]), (vec![None, None], true), "folders within folders");
        assert_eq!(own(&["train/a", "val/b"]), (vec![None, None], true), "parts of a data set");
    }

    #[test]
    fn folders_are_classes_where_they_are_said_to_be() {
        let first = |keys: &[&str]| labels(&Labelling::Folders(ClassFolder::First), keys).0;
        let last = |keys: &[&str]| labels(&Labelling::Folders(ClassFolder::Last), keys).0;
        assert_eq!(first(&["2020/may/a", "2021/b"]), some(&["2020", "2021"]));
        assert_eq!(last(&["2020/may/a", "2021/b"]), some(&["2020/may", "2021"]));
        assert_eq!(first(&["cat/a", "b"]), [Some("cat".to_owned()), None]);
        assert_eq!(first(&["x/cat/a", "x/cat/b"]), some(&["cat", "cat"]), "one class");
    }
}
