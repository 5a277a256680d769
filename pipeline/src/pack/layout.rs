//! Determines the class of an image by its folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::walk::{Found, FoundImage};
use super::{PackError, SkippedFile};

/// How the class of an image is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassFolders {
    /// By the first folder below the source: `cat` for `SRC/cat/indoors/x.jpg`.
    Top,
    /// By the folder that holds the image: `cat/indoors`.
    Parent,
    /// No classes: images have no labels.
    None,
}

/// The classes, sorted, and what decides them.
#[derive(Debug)]
pub(super) struct ClassTree {
    pub(super) by: ClassFolders,
    /// The position of a name is its label.
    pub(super) classes: Vec<String>,
}

/// Images of one folder of the source.
#[derive(Debug, Default)]
struct Top {
    /// In the folder itself.
    direct: u64,
    /// In folders within it.
    deeper: u64,
}

impl ClassTree {
    /// As asked for; otherwise what there can be no doubt of. Images without a class are moved to the other files.
    pub(super) fn choose(
        source: &Path,
        out: &Path,
        found: &mut Found,
        asked: Option<ClassFolders>,
    ) -> Result<ClassTree, PackError> {
        let by = match asked {
            Some(by) => by,
            None => guess(source, out, found)?,
        };
        if by != ClassFolders::None {
            leave_out_loose(found);
        }
        let classes: BTreeSet<String> = match by {
            ClassFolders::None => BTreeSet::new(),
            // Also those without images, as torchvision's `ImageFolder` counts them.
            ClassFolders::Top => found.folders.iter().cloned().collect(),
            ClassFolders::Parent => found.images.iter().map(|image| image.folders.join("/")).collect(),
        };
        Ok(ClassTree { by, classes: classes.into_iter().collect() })
    }

    /// The label of an image.
    pub(super) fn label(&self, image: &FoundImage) -> Option<u32> {
        let class = match self.by {
            ClassFolders::None => return None,
            ClassFolders::Top => image.folders.first()?.clone(),
            ClassFolders::Parent => image.folders.join("/"),
        };
        self.classes.binary_search(&class).ok().and_then(|label| u32::try_from(label).ok())
    }
}

/// No labels where there are no folders, and class folders where every folder has images of its own. The rest could be meant in
/// several ways.
fn guess(source: &Path, out: &Path, found: &Found) -> Result<ClassFolders, PackError> {
    let mut tops: BTreeMap<&str, Top> = BTreeMap::new();
    let mut loose = 0;
    for image in &found.images {
        match &image.folders[..] {
            [] => loose += 1,
            [top] => tops.entry(top).or_default().direct += 1,
            [top, ..] => tops.entry(top).or_default().deeper += 1,
        }
    }
    if tops.is_empty() {
        return Ok(ClassFolders::None);
    }
    let parts: Vec<&str> = tops.keys().copied().filter(|name| is_part(name)).collect();
    let has_classes = |name: &&str| tops[*name].direct == 0;
    if parts.len() == tops.len() || parts.iter().any(has_classes) {
        let commands = parts.iter().map(|part| command(&source.join(part), &out.join(part), part));
        let (path, parts) = (source.to_owned(), parts.join(" and "));
        return Err(PackError::Parts { path, parts, commands: commands.collect::<Vec<_>>().join(" and ") });
    }
    if loose > 0 {
        let in_folders = found.images.len() as u64 - loose;
        return Err(PackError::Loose { path: source.to_owned(), loose, in_folders });
    }
    let is_nested = |image: &&FoundImage| tops[&*image.folders[0]].direct == 0;
    if let Some(first) = found.images.iter().find(is_nested) {
        let parents: BTreeSet<_> = found.images.iter().map(|image| &image.folders).collect();
        let (top, parent) = (&first.folders[0], first.folders.join("/"));
        let choices = format!(
            "--labels top (the class is the first folder: {top:?}; {} classes), --labels parent (the folder of the image: \
             {parent:?}; {} classes), --labels none (all images, without labels), or a folder by itself: {}",
            tops.len(),
            parents.len(),
            command(&source.join(top), out, "train")
        );
        return Err(PackError::Nested { path: source.to_owned(), first: first.path.clone(), choices });
    }
    Ok(ClassFolders::Top)
}

/// Whether a folder's name is that of a part of a data set, such as `train` or `val2017`.
pub(crate) fn is_part(name: &str) -> bool {
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

fn leave_out_loose(found: &mut Found) {
    for image in found.images.extract_if(.., |image| image.folders.is_empty()) {
        let cause = "an image in no class folder".to_owned();
        found.others.push(SkippedFile { path: image.path, cause });
    }
}

/// The command that packs a folder.
fn command(source: &Path, out: &Path, prefix: &str) -> String {
    let prefix =
        if prefix == "train" { String::new() } else { format!(" --prefix {}", quoted(Path::new(prefix))) };
    format!("`simsiam pack {} {}{prefix}`", quoted(source), quoted(out))
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |character: char| character.is_alphanumeric() || "/._-+=:,@%".contains(character);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
