//! What indexing found in a shard besides its samples.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::Serialize;

/// An image or a label in a shard that belongs to no sample, or a peculiarity of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding<'a> {
    /// The kind of finding.
    pub kind: FindingKind,
    /// The shard, as named by the patterns.
    pub shard: Cow<'a, Path>,
    /// Name of the member; empty if the finding is about the archive.
    pub member: Cow<'a, str>,
    /// Offset of the contents in the shard, in bytes.
    pub offset: u64,
    /// A description of what was found; may be empty.
    pub found: Cow<'a, str>,
}

impl Finding<'_> {
    /// The same finding, which does not borrow from its set.
    pub fn into_owned(self) -> Finding<'static> {
        Finding {
            kind: self.kind,
            shard: Cow::Owned(self.shard.into_owned()),
            member: Cow::Owned(self.member.into_owned()),
            offset: self.offset,
            found: Cow::Owned(self.found.into_owned()),
        }
    }
}

/// Displays as ``shard a.tar, member "x.2.jpg" (found)``.
impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.shard.display())?;
        if self.member.is_empty() {
            write!(f, ", offset {}", self.offset)?;
        } else {
            write!(f, ", member {:?}", self.member)?;
        }
        if self.found.is_empty() { Ok(()) } else { write!(f, " ({})", self.found) }
    }
}

/// The kinds of findings, in the order of the index file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// An image that counts as another one of a sample, because a key ends at the first dot.
    DottedName,
    /// Another image of a sample that has one.
    SecondImage,
    /// An image whose name begins with a dot, and which therefore has no key.
    HiddenName,
    /// An image without an extension, and therefore without a key.
    NoExtension,
    /// A link with an image's name.
    Link,
    /// An image in an unsupported format.
    UnreadFormat,
    /// A label that is neither a number nor a name.
    NotALabel,
    /// A `.json` that cannot be parsed, next to an image without another label.
    NotJson,
    /// Two different labels of one sample.
    LabelsDiffer,
    /// A label whose key no image in the shard has.
    NoImage,
    /// A label whose key several images have.
    ManyImages,
    /// A class name beyond the limit on their number.
    TooManyNames,
    /// An archive without an end marker.
    EndsEarly,
    /// Data after the end of the archive that is not another archive.
    Trailing,
    /// An archive that follows another in the same file.
    Joined,
    /// An image or a folder that cannot be opened or followed.
    Unreadable,
    /// An image in folders that may be classes or something else.
    UnclearFolders,
    /// An archive in a folder that is read for its images.
    AmongImages,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Images that belong to no sample.
    Image,
    /// Labels that belong to no sample.
    Label,
    /// Archives.
    Shard,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [FindingKind; 18] = [
        FindingKind::DottedName,
        FindingKind::SecondImage,
        FindingKind::HiddenName,
        FindingKind::NoExtension,
        FindingKind::Link,
        FindingKind::UnreadFormat,
        FindingKind::NotALabel,
        FindingKind::NotJson,
        FindingKind::LabelsDiffer,
        FindingKind::NoImage,
        FindingKind::ManyImages,
        FindingKind::TooManyNames,
        FindingKind::EndsEarly,
        FindingKind::Trailing,
        FindingKind::Joined,
        FindingKind::Unreadable,
        FindingKind::UnclearFolders,
        FindingKind::AmongImages,
    ];

    /// The subject of this kind.
    pub fn subject(self) -> Subject {
        match self {
            Self::DottedName
            | Self::SecondImage
            | Self::HiddenName
            | Self::NoExtension
            | Self::Link
            | Self::UnreadFormat
            | Self::Unreadable => Subject::Image,
            Self::NotALabel
            | Self::NotJson
            | Self::LabelsDiffer
            | Self::NoImage
            | Self::ManyImages
            | Self::TooManyNames
            | Self::UnclearFolders => Subject::Label,
            Self::EndsEarly | Self::Trailing | Self::Joined | Self::AmongImages => Subject::Shard,
        }
    }

    /// What to do about it, if that is not obvious.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::DottedName => Some(
                "WebDataset's rule: a key ends at the first dot of the name; to use each, extract the files and `simsiam pack` their folder",
            ),
            Self::SecondImage => Some("a sample has one image"),
            Self::Link => Some("`tar --dereference --hard-dereference` stores the files instead"),
            Self::UnclearFolders => Some(
                "--labels folders makes the first folder the class, --labels parents the folder that contains the image; --labels none gives no labels",
            ),
            Self::EndsEarly => Some("compare its size with the original's"),
            Self::AmongImages => Some("--shards takes folders and archives side by side"),
            _ => None,
        }
    }
}

/// Completes a sentence that begins with a number of images, labels or shards.
impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DottedName => "with a further dot in the name, so under the key of another image",
            Self::SecondImage => "under the key of another image",
            Self::HiddenName => "whose name begins with a dot, so without a key",
            Self::NoExtension => "without an extension, so without a key",
            Self::Link => "stored as a link, so without contents",
            Self::UnreadFormat => "of a format that is not read",
            Self::NotALabel => "neither a whole number from 0 to 4294967294 nor a name",
            Self::NotJson => "in a .json that is not JSON",
            Self::LabelsDiffer => "unlike another one of the same sample",
            Self::NoImage => "without an image of the same key in the shard",
            Self::ManyImages => "under a key that several images have",
            Self::TooManyNames => "beyond 65,536 different names in a shard, more than classes can be",
            Self::EndsEarly => "without a tar's closing zeros, so perhaps cut short",
            Self::Trailing => "with data behind the end that is no tar archive and is not read",
            Self::Unreadable => "that cannot be read",
            Self::UnclearFolders => "by folders that may be classes or something else",
            Self::AmongImages => "in a folder of images, which is read for its images alone",
            Self::Joined => "of several archives joined, which are all read",
        })
    }
}
