//! What was found, for a person and for a program.

use std::fmt;

use serde::Serialize;

use super::search::PARTNERS;
use crate::console::{counted, thousands};
use crate::data::Place;

/// Pairs of images that are nearly the same.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The least similarity of features.
    pub threshold: f32,
    /// Pairs of a validation and a training image, if there are validation shards.
    pub leaks: Option<Pairs>,
    /// Pairs of training images.
    pub train: Pairs,
    /// Pairs of validation images, if there are validation shards.
    pub val: Option<Pairs>,
}

/// What a list's pairs are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A validation and a training image.
    Leaks,
    /// Two training images.
    Train,
    /// Two validation images.
    Val,
}

/// The pairs of one comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Pairs {
    /// Images that were compared with others; of leaks, validation images.
    pub images: u64,
    /// Those of them that are in the pairs below.
    pub paired: u64,
    /// Pairs with similar features.
    pub similar: u64,
    /// Those of them whose pixels were compared: of each image the nearest.
    pub compared: u64,
    /// Of one set: the numbers of the samples that hang together by pairs, the largest group first.
    pub groups: Vec<Vec<u64>>,
    /// Those of them whose pixels agree: copies first, then by the smaller of similarity and correlation.
    pub pairs: Vec<Duplicate>,
}

/// Two images that are nearly the same.
#[derive(Clone, Debug, Serialize)]
pub struct Duplicate {
    /// The cosine similarity of their features.
    pub similarity: f32,
    /// The correlation of their pixels at 16 x 16.
    pub correlation: f32,
    /// Whether that is with the one in a mirror.
    pub mirrored: bool,
    /// Whether their files are the same, byte for byte.
    pub same_file: bool,
    /// The two; of a leak the validation image first.
    pub images: [Place; 2],
}

impl Duplicate {
    /// How sure it is that the two are the same picture: what the weaker of the two signs says.
    pub fn sureness(&self) -> f32 {
        self.similarity.min(self.correlation)
    }

    /// What is special about the pair, in a word or two.
    pub fn remark(&self) -> &'static str {
        match self {
            Self { same_file: true, .. } => "same file",
            Self { mirrored: true, .. } => "mirrored",
            _ => "",
        }
    }

    /// Whether both have a label, but not the same class. A class's name and another set's number cannot be compared.
    pub fn labels_differ(&self) -> bool {
        let [one, other] = &self.images;
        let are_comparable = one.class.is_some() == other.class.is_some();
        are_comparable && one.label.is_some() && other.label.is_some() && one.class() != other.class()
    }
}

impl Report {
    /// The lists that there are, the most important first.
    pub fn lists(&self) -> impl Iterator<Item = (Kind, &Pairs)> {
        let lists = [
            (Kind::Leaks, self.leaks.as_ref()),
            (Kind::Train, Some(&self.train)),
            (Kind::Val, self.val.as_ref()),
        ];
        lists.into_iter().filter_map(|(kind, pairs)| Some((kind, pairs?)))
    }

    /// The number of each list's first pair, counted over all lists, of each of which at most `top` pairs are shown.
    pub fn numbered(&self, top: usize) -> impl Iterator<Item = (Kind, &Pairs, usize)> {
        self.lists().scan(1, move |next, (kind, list)| {
            let first = *next;
            *next += list.pairs.len().min(top);
            Some((kind, list, first))
        })
    }

    /// The report as text, with at most `top` pairs of each list.
    pub fn describe(&self, top: usize) -> String {
        let mut lines = Vec::new();
        for (kind, list, first) in self.numbered(top) {
            lines.push(format!("{kind:<9} {}", list.summary(kind)));
            lines.extend(list.unlisted());
            lines.extend(list.table(first, top));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leaks => "leaks",
            Self::Train => "train",
            Self::Val => "val",
        })
    }
}

impl Pairs {
    fn summary(&self, kind: Kind) -> String {
        let (paired, images) = (thousands(self.paired), thousands(self.images));
        let copies = self.pairs.iter().filter(|pair| pair.same_file).count();
        let groups = self.groups.first().map_or(String::new(), |largest| {
            format!(", in {}, the largest of {}", counted(self.groups.len() as u64, "group"), largest.len())
        });
        let found = match kind {
            Kind::Leaks => format!("{paired} of {images} validation images look like a training image"),
            Kind::Train | Kind::Val => format!("{paired} of {images} images have a duplicate{groups}"),
        };
        format!(
            "{found}; {}: {} of the same file, {} nearly the same",
            counted(self.pairs.len() as u64, "pair"),
            thousands(copies as u64),
            thousands((self.pairs.len() - copies) as u64)
        )
    }

    /// A line on the pairs that have similar features, and yet are not listed.
    fn unlisted(&self) -> Option<String> {
        let differing = self.compared - self.pairs.len() as u64;
        let nearest = if self.similar > self.compared {
            format!(", the {PARTNERS} nearest of each image")
        } else {
            String::new()
        };
        let line = format!(
            "  ({} with similar features; the pixels of {} were compared{nearest}, and those of {} differ)",
            counted(self.similar, "pair"),
            thousands(self.compared),
            thousands(differing)
        );
        (differing > 0).then_some(line)
    }

    /// A line for each of the first `top` pairs, below one that says what the columns are.
    fn table(&self, first: usize, top: usize) -> Vec<String> {
        let shown = &self.pairs[..top.min(self.pairs.len())];
        let width = shown.iter().map(|pair| pair.images[0].to_string().chars().count()).max();
        let row = |(number, pair): (usize, &Duplicate)| {
            let Duplicate { similarity, correlation, images: [one, other], .. } = pair;
            let (remark, width) = (pair.remark(), width.unwrap_or(0));
            let labels = if pair.labels_differ() { "  labels differ" } else { "" };
            format!(
                "  {number:>3}  {similarity:>8.4}  {correlation:>6.2}  {remark:<9}  {one:<width$}  {other}{labels}"
            )
        };
        let title = (!shown.is_empty()).then(|| "    #  features  pixels".to_owned());
        let more = self.pairs.len() - shown.len();
        let rest = (more > 0).then(|| format!("  and {} more, which --json lists", thousands(more as u64)));
        title.into_iter().chain((first..).zip(shown).map(row)).chain(rest).collect()
    }
}
