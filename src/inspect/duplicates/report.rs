//! What was found, for a person and for a program.

use std::fmt;

use serde::Serialize;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::shards::Location;

use super::search::PARTNERS;
use crate::console::{counted, thousands};

/// Pairs of images that are nearly the same.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The least similarity of features.
    pub threshold: f32,
    /// Images in the shards themselves.
    pub images: u64,
    /// Images in the validation shards, if there are any.
    pub val_images: Option<u64>,
    /// Pairs of a validation image and one of the shards themselves.
    pub leaks: Option<Pairs>,
    /// Pairs within the shards themselves.
    pub own: Pairs,
    /// Pairs within the validation shards.
    pub val: Option<Pairs>,
}

/// The pairs of one comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Pairs {
    /// Pairs with similar features.
    pub similar: u64,
    /// Those of them whose pixels were compared: of each image the nearest.
    pub compared: u64,
    /// Images in the pairs below; of leaks, validation images.
    pub images: u64,
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

/// An image of a pair.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Its number in its set.
    pub sample: u64,
    /// Where it is.
    pub at: Location<'static>,
    /// Its label.
    pub label: Option<u32>,
    /// The label's name.
    pub class: Option<String>,
}

impl Place {
    /// Of a sample.
    pub fn of(shards: &ShardSet, sample: u64) -> Self {
        let label = shards.label(sample);
        let class = label.and_then(|label| shards.class_names()?.get(label as usize).cloned());
        Self { sample, at: shards.locate(sample).into_owned(), label, class }
    }

    /// The class's name, else the label; nothing where there is none.
    pub fn class(&self) -> String {
        let number = || self.label.map(|label| label.to_string());
        self.class.clone().or_else(number).unwrap_or_default()
    }
}

/// `train-003.tar 1042 "n0144" cat`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { shard, sample, key, .. } = &self.at;
        let text = format!("{} {sample} {key:?} {}", shard.display(), self.class());
        f.pad(text.trim_end())
    }
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

    /// Whether both have a label, but not the same class.
    pub fn labels_differ(&self) -> bool {
        let [one, other] = &self.images;
        one.label.is_some() && other.label.is_some() && one.class() != other.class()
    }
}

impl Report {
    /// The lists that there are, each with its name, the most important first.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &Pairs)> {
        let lists = [("leaks", self.leaks.as_ref()), ("train", Some(&self.own)), ("val", self.val.as_ref())];
        lists.into_iter().filter_map(|(name, pairs)| Some((name, pairs?)))
    }

    /// The pairs to show, at most `top` of each list, numbered from 1.
    pub fn shown(&self, top: usize) -> Vec<(&'static str, Vec<(usize, &Duplicate)>)> {
        let mut numbers = 1..;
        let lists = self.lists().map(|(name, list)| {
            let shown = list.pairs.iter().take(top);
            (name, shown.map(|pair| (numbers.next().expect("there is a next number"), pair)).collect())
        });
        lists.collect()
    }

    /// The report as text, with at most `top` pairs of each list.
    pub fn describe(&self, top: usize) -> String {
        let mut lines = Vec::new();
        for ((name, list), (_, shown)) in self.lists().zip(self.shown(top)) {
            lines.push(format!("{name:<9} {}", self.summary(name, list)));
            lines.extend(list.remark().map(|remark| format!("  ({remark})")));
            let width = |side: usize| {
                shown.iter().map(|(_, pair)| pair.images[side].to_string().chars().count()).max()
            };
            let first = width(0).unwrap_or(0);
            if !shown.is_empty() {
                lines.push("    #  features  pixels".into());
            }
            for (number, pair) in &shown {
                let Duplicate { similarity, correlation, images: [one, other], .. } = pair;
                let (remark, labels) =
                    (pair.remark(), if pair.labels_differ() { "  labels differ" } else { "" });
                lines.push(format!(
                    "  {number:>3}  {similarity:>8.4}  {correlation:>6.2}  {remark:<9}  {one:<first$}  {other}{labels}"
                ));
            }
            if let Some(more @ 1..) = list.pairs.len().checked_sub(shown.len()) {
                lines.push(format!("  and {} more, which --json lists", thousands(more as u64)));
            }
        }
        lines.join("\n")
    }

    fn summary(&self, name: &str, list: &Pairs) -> String {
        let copies = list.pairs.iter().filter(|pair| pair.same_file).count() as u64;
        let pairs = format!(
            "{}: {} of the same file, {} nearly the same",
            counted(list.pairs.len() as u64, "pair"),
            thousands(copies),
            thousands(list.pairs.len() as u64 - copies)
        );
        match (name, self.val_images) {
            ("leaks", Some(images)) => format!(
                "{} of {} validation images look like one of the others; {pairs}",
                thousands(list.images),
                thousands(images)
            ),
            (_, images) => {
                let images = if name == "val" { images.unwrap_or_default() } else { self.images };
                let groups = match list.groups.first() {
                    Some(largest) => {
                        format!(
                            ", in {}, the largest of {}",
                            counted(list.groups.len() as u64, "group"),
                            largest.len()
                        )
                    }
                    None => String::new(),
                };
                format!(
                    "{} of {} images have a duplicate{groups}; {pairs}",
                    thousands(list.images),
                    thousands(images)
                )
            }
        }
    }
}

impl Pairs {
    /// What became of the pairs that are not listed.
    fn remark(&self) -> Option<String> {
        let differing = self.compared - self.pairs.len() as u64;
        let nearest = if self.similar > self.compared {
            format!(", the {PARTNERS} nearest of each image")
        } else {
            String::new()
        };
        let remark = format!(
            "{} with similar features; the pixels of {} were compared{nearest}, and those of {} differ",
            counted(self.similar, "pair"),
            thousands(self.compared),
            thousands(differing)
        );
        (differing > 0).then_some(remark)
    }
}
