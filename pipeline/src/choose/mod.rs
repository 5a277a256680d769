//! Selects samples of a data set: by a condition, as a fraction of each class, or by number.
//!
//! - `parse`, `condition`: the language of [`Choice::select`]; `share`: fractions and limits.
//!
//! ```text
//! label in [3, 5]                      labels by number
//! label = cat or label = 'sports car'  and by the names of their classes
//! label != 3                           the others, those without a label among them
//! key like 'n01*/*'                    keys by a pattern: * is any text, / too; ? one character; [ab] one of these
//! key in list.txt                      keys by a file that has one in a line, with or without its extension
//! not (label = cat and key not like 'train/*') or label not in [dog, 7]
//! ```
//! `not` binds tighter than `and`, and `and` tighter than `or`. A word of digits is a label; any other word, and any
//! quoted text, is the name of a class.

mod condition;
mod parse;
mod share;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::share::Classes;
use crate::inspect::grouped;
use crate::sampler::SampleSet;
use crate::shards::ShardSet;

/// Which samples to use; by default, all.
///
/// ```
/// use simsiam_pipeline::choose::Choice;
///
/// let choice: Choice = toml::from_str(
///     "select = \"label in [cat, dog] and not key like 'blurred/*'\"
///      fraction = 0.1",
/// )?;
/// choice.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// Keeps the samples that satisfy this condition, in [this module's language](self).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// Of those, keeps this share of each class, at least one sample; more than 0, at most 1. Samples without a label
    /// count as a class. The draw depends only on the samples' keys, and a smaller fraction is a subset of a larger
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Of those, keeps at most this many, at least 1; each class keeps its share to within one sample. Drawn like the
    /// fraction: a smaller number is a subset of a larger one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What a choice is made from: labels, class names and keys. [`ShardSet`] implements it.
pub trait Catalog {
    /// Number of samples.
    fn samples(&self) -> u64;
    /// The sample's label, if it has one.
    fn label(&self, sample: u64) -> Option<u32>;
    /// The names of the classes, if they have any; entry `i` names label `i`.
    fn class_names(&self) -> Option<&[String]>;
    /// The key of a sample.
    fn key(&self, sample: u64) -> Cow<'_, str>;
}

impl Catalog for ShardSet {
    fn samples(&self) -> u64 {
        self.len()
    }

    fn label(&self, sample: u64) -> Option<u32> {
        self.label(sample)
    }

    fn class_names(&self) -> Option<&[String]> {
        self.class_names()
    }

    fn key(&self, sample: u64) -> Cow<'_, str> {
        self.locate(sample).key.into()
    }
}

/// The chosen samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Their numbers.
    pub samples: SampleSet,
    /// A summary in one line: `5,000 of 50,000 samples (fraction 0.1), all 10 classes`.
    pub summary: String,
    /// What of the condition fits no sample, one line each.
    pub warnings: Vec<String>,
}

/// A choice that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// The condition does not parse.
    #[error("select: expected {expected} at character {at}, found {found}")]
    Syntax {
        /// What was expected.
        expected: &'static str,
        /// The position in characters, from 1.
        at: usize,
        /// What was found there.
        found: String,
    },
    /// A pattern is invalid.
    #[error("select: the pattern {pattern:?}: {cause}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A list of keys cannot be read.
    #[error("select: cannot read the keys in {}: {source}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No sample has the class that the condition names.
    #[error("select: no sample is of the class {class}; there are {there}")]
    NoSuchClass {
        /// The name or number.
        class: String,
        /// The first few classes.
        there: String,
    },
    /// No key matches a pattern or a list.
    #[error("select: no key is {what}; keys are {there}")]
    NoSuchKey {
        /// `like` the pattern, or `in` the file.
        what: String,
        /// The first few keys.
        there: String,
    },
    /// Each part of the condition holds for some samples, but no sample satisfies the whole.
    #[error("select: none of the {samples} samples satisfies {select:?}")]
    NoSample {
        /// The condition.
        select: String,
        /// Samples in the data.
        samples: u64,
    },
    /// The fraction is not in its range.
    #[error("fraction {fraction}: must be above 0, at most 1")]
    Fraction {
        /// The share.
        fraction: f64,
    },
    /// The limit is 0.
    #[error("limit 0: must be at least 1")]
    Limit,
}

impl Choice {
    /// Whether anything is asked for.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// Checks everything that can be checked without data.
    ///
    /// # Errors
    /// If the condition does not parse, or the fraction or limit is out of range.
    pub fn validate(&self) -> Result<(), ChoiceError> {
        if let Some(select) = &self.select {
            parse::condition(select)?;
        }
        match (self.fraction, self.limit) {
            (Some(fraction), _) if !(fraction > 0.0 && fraction <= 1.0) => {
                Err(ChoiceError::Fraction { fraction })
            }
            (_, Some(0)) => Err(ChoiceError::Limit),
            _ => Ok(()),
        }
    }

    /// The same choice with other names for the files that list keys, such as absolute ones.
    ///
    /// # Errors
    /// If the condition cannot be read.
    pub fn with_lists(&self, rename: impl Fn(&Path) -> PathBuf) -> Result<Self, ChoiceError> {
        let select = self.select.as_ref().map(|select| parse::with_lists(select, rename)).transpose()?;
        Ok(Self { select, ..self.clone() })
    }

    /// The chosen samples of `catalog`; `None` for all, if nothing is set. Takes about 32 bytes of memory per sample
    /// while it works.
    ///
    /// # Errors
    /// As [`validate`](Self::validate); or if a list cannot be read, a class, pattern or list matches no sample, or no
    /// sample is left.
    pub fn of(&self, catalog: &impl Catalog) -> Result<Option<Chosen>, ChoiceError> {
        self.validate()?;
        if !self.is_given() {
            return Ok(None);
        }
        let mut warnings = Vec::new();
        let mut numbers: Vec<u64> = match &self.select {
            Some(select) => condition::selected(select, catalog, &mut warnings)?,
            None => (0..catalog.samples()).collect(),
        };
        if self.fraction.is_some() || self.limit.is_some() {
            let mut classes = Classes::new(&numbers, catalog);
            if let Some(fraction) = self.fraction {
                classes.take_fraction(fraction);
            }
            numbers = match self.limit {
                Some(limit) => classes.take(limit),
                None => classes.all(),
            };
            numbers.sort_unstable();
        }
        let summary = self.summary(&numbers, catalog);
        Ok(Some(Chosen { samples: SampleSet::new(&numbers, catalog.samples()), summary, warnings }))
    }

    fn summary(&self, numbers: &[u64], catalog: &impl Catalog) -> String {
        let settings = [
            self.select.as_ref().map(|select| format!("select {select:?}")),
            self.fraction.map(|fraction| format!("fraction {fraction}")),
            self.limit.map(|limit| format!("limit {limit}")),
        ];
        let settings = settings.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let chosen = labels(numbers.iter().copied(), catalog).len();
        let classes = match labels(0..catalog.samples(), catalog).len() {
            0 | 1 => String::new(),
            all if all == chosen => format!(", all {all} classes"),
            all => format!(", {chosen} of {all} classes"),
        };
        let (chosen, all) = (grouped(numbers.len() as u64), grouped(catalog.samples()));
        format!("{chosen} of {all} samples ({settings}){classes}")
    }
}

/// The labels of samples, and how many have each.
fn labels(samples: impl Iterator<Item = u64>, catalog: &impl Catalog) -> BTreeMap<u32, u64> {
    let mut labels = BTreeMap::new();
    for label in samples.filter_map(|sample| catalog.label(sample)) {
        *labels.entry(label).or_default() += 1;
    }
    labels
}

#[cfg(test)]
mod tests;
