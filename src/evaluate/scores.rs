//! What a classifier got right: over all samples, for each class, and what it took for what.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How one sample was classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its own class.
    pub label: u32,
    /// The class with the highest score.
    pub predicted: u32,
    /// How many classes come before its own.
    pub rank: usize,
}

/// Verdicts in which fewer than `places` classes come before the sample's own, in percent.
pub fn accuracy(verdicts: &[Verdict], places: usize) -> f64 {
    percent(hits(verdicts, places), verdicts.len())
}

/// How many such verdicts there are.
pub fn hits(verdicts: &[Verdict], places: usize) -> usize {
    verdicts.iter().filter(|verdict| verdict.rank < places).count()
}

/// So many hits of all.
pub fn percent(hits: usize, all: usize) -> f64 {
    100.0 * hits as f64 / all as f64
}

/// With more classes, the matrix of confusions is left out: it would take more room than the features.
const MAX_CONFUSION_CLASSES: usize = 2048;

/// Accuracies of one classifier. All are in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Samples whose own class came first.
    pub top1: f64,
    /// Samples whose own class was among the first five.
    pub top5: f64,
    /// Number of samples.
    pub samples: usize,
    /// The same for each class, by label.
    pub per_class: Vec<ClassScore>,
    /// Row `i`, column `j`: samples of class `i` that were taken for class `j`. None with more than 2,048 classes.
    pub confusion: Option<Vec<Vec<u32>>>,
}

/// Accuracies on the samples of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Its number.
    pub label: u32,
    /// Its line in `classes.txt`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of samples.
    pub samples: usize,
    /// As [`Scores::top1`]; none without a sample.
    pub top1: Option<f64>,
    /// As [`Scores::top5`]; none without a sample.
    pub top5: Option<f64>,
}

/// Its name, or its number where it has none.
impl fmt::Display for ClassScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.label),
        }
    }
}

impl Scores {
    /// Counts verdicts on `classes` classes.
    ///
    /// # Panics
    /// If a label or prediction is no class.
    pub fn of(verdicts: &[Verdict], classes: usize, names: Option<&[String]>) -> Self {
        let mut of_class = vec![Vec::new(); classes];
        let mut confusion = (classes <= MAX_CONFUSION_CLASSES).then(|| vec![vec![0; classes]; classes]);
        for verdict in verdicts {
            of_class[verdict.label as usize].push(*verdict);
            if let Some(confusion) = &mut confusion {
                confusion[verdict.label as usize][verdict.predicted as usize] += 1;
            }
        }
        let score = |(label, verdicts): (u32, Vec<Verdict>)| ClassScore {
            label,
            name: names.and_then(|names| names.get(label as usize)).cloned(),
            samples: verdicts.len(),
            top1: (!verdicts.is_empty()).then(|| accuracy(&verdicts, 1)),
            top5: (!verdicts.is_empty()).then(|| accuracy(&verdicts, 5)),
        };
        Self {
            top1: accuracy(verdicts, 1),
            top5: accuracy(verdicts, 5),
            samples: verdicts.len(),
            per_class: (0..).zip(of_class).map(score).collect(),
            confusion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_a_hand_count() {
        let verdict = |label, predicted, rank| Verdict { label, predicted, rank };
        let verdicts =
            [verdict(0, 0, 0), verdict(0, 2, 1), verdict(2, 2, 0), verdict(2, 0, 5), verdict(2, 0, 4)];
        let names = ["cat".to_owned(), "dog".to_owned()];
        let scores = Scores::of(&verdicts, 3, Some(&names));
        assert_eq!((scores.top1, scores.top5, scores.samples), (40.0, 80.0, 5));
        assert_eq!(scores.confusion, Some(vec![vec![1, 0, 1], vec![0, 0, 0], vec![2, 0, 1]]));
        let class = |label: usize| {
            let ClassScore { name, samples, top1, top5, .. } = &scores.per_class[label];
            (name.as_deref(), *samples, *top1, top5.map(f64::round))
        };
        assert_eq!(class(0), (Some("cat"), 2, Some(50.0), Some(100.0)));
        assert_eq!(class(1), (Some("dog"), 0, None, None));
        assert_eq!(class(2), (None, 3, Some(100.0 / 3.0), Some(67.0)));
    }

    #[test]
    fn many_classes_have_no_confusion_matrix() {
        let verdicts = [Verdict { label: 5000, predicted: 1, rank: 1 }];
        assert_eq!(Scores::of(&verdicts, 5001, None).confusion, None);
    }
}
