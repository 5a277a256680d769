//! All pairs of features that are similar, of one set or of two.

use rayon::prelude::*;

use crate::console::Phase;
use crate::evaluate::cosine::similarities;
use crate::interrupt::{Interrupt, Interrupted};

/// Features on either side of one product: similarities of 1 MB a thread.
const ROWS: usize = 256;
const COLUMNS: usize = 1024;
/// Partners of one feature that are kept, the most similar: of many copies each is still paired with others.
pub const PARTNERS: usize = 16;

/// Features of norm 1.
#[derive(Clone, Copy)]
pub struct Features<'a> {
    /// Length of one feature.
    pub dim: usize,
    /// One feature after the other.
    pub values: &'a [f32],
}

impl Features<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.dim
    }

    /// The features from one to before another.
    fn part(&self, from: usize, to: usize) -> &[f32] {
        &self.values[from * self.dim..to * self.dim]
    }
}

/// Two features, by their numbers in their sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The cosine of the angle between them.
    pub similarity: f32,
    /// The one.
    pub row: usize,
    /// The other; of one set the later.
    pub column: usize,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Pairs of at least the threshold's similarity.
    pub count: u64,
    /// Those of them that are among the [`PARTNERS`] most similar of their row, row after row.
    pub pairs: Vec<Pair>,
}

/// What rounding may take from the similarity of two equal features.
const ROUNDING: f32 = 1e-5;

/// Pairs of at least a similarity of `threshold`, of one feature of `rows` and one of `columns`. `phase` counts the pairs compared.
///
/// # Errors
/// If the user asked to stop.
///
/// # Panics
/// If the features of the two have different lengths.
pub fn between(
    rows: Features<'_>,
    columns: Features<'_>,
    threshold: f32,
    phase: &Phase,
    interrupt: &Interrupt,
) -> Result<Found, Interrupted> {
    search(rows, columns, |_| 0, threshold, phase, interrupt)
}

/// Pairs of at least a similarity of `threshold`, of two features of one set, each once. `phase` counts the pairs compared.
///
/// # Errors
/// If the user asked to stop.
pub fn within(
    features: Features<'_>,
    threshold: f32,
    phase: &Phase,
    interrupt: &Interrupt,
) -> Result<Found, Interrupted> {
    search(features, features, |row| row + 1, threshold, phase, interrupt)
}

/// Compares each row with the columns from `first_column(row)` on, which grows with the row.
fn search(
    rows: Features<'_>,
    columns: Features<'_>,
    first_column: impl Fn(usize) -> usize + Sync,
    threshold: f32,
    phase: &Phase,
    interrupt: &Interrupt,
) -> Result<Found, Interrupted> {
    assert_eq!(rows.dim, columns.dim, "features to compare have one length");
    let starts: Vec<usize> = (0..rows.count()).step_by(ROWS).collect();
    let blocks = starts.into_par_iter().map(|start| {
        let end = rows.count().min(start + ROWS);
        let mut partners: Vec<Partners> = (start..end).map(|_| Partners::default()).collect();
        for left in (first_column(start)..columns.count()).step_by(COLUMNS) {
            interrupt.check()?;
            let right = columns.count().min(left + COLUMNS);
            let block = similarities(rows.part(start, end), columns.part(left, right), rows.dim);
            for ((row, partners), similarities) in
                (start..end).zip(&mut partners).zip(block.chunks_exact(right - left))
            {
                let skipped = first_column(row).saturating_sub(left).min(similarities.len());
                partners.extend(left + skipped, &similarities[skipped..], threshold - ROUNDING);
                phase.inc((similarities.len() - skipped) as u64);
            }
        }
        Ok(partners)
    });
    let blocks: Vec<_> = blocks.collect::<Result<_, _>>()?;
    let mut found = Found::default();
    for (row, partners) in blocks.into_iter().flatten().enumerate() {
        found.count += partners.count;
        let pair = |(similarity, column)| Pair { similarity, row, column };
        found.pairs.extend(partners.nearest.into_iter().map(pair));
    }
    Ok(found)
}

/// The columns that are similar to one row.
#[derive(Default)]
struct Partners {
    count: u64,
    /// The nearest first; of equally near ones those that come first.
    nearest: Vec<(f32, usize)>,
}

impl Partners {
    /// Looks at the similarities of the columns from `first` on.
    fn extend(&mut self, first: usize, similarities: &[f32], threshold: f32) {
        let count = similarities.iter().filter(|&&similarity| similarity >= threshold).count();
        self.count += count as u64;
        if count == 0 {
            return;
        }
        for (column, &similarity) in
            (first..).zip(similarities).filter(|(_, similarity)| **similarity >= threshold)
        {
            let place = self.nearest.partition_point(|&(nearer, _)| nearer >= similarity);
            if place < PARTNERS {
                self.nearest.truncate(PARTNERS - 1);
                self.nearest.insert(place, (similarity, column));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` directions in the plane, of which those that share a residue by 100 are nearly the same.
    fn directions(count: usize) -> Vec<f32> {
        let angle = |i: usize| (i % 100) as f32 * 0.05 + (i / 100) as f32 * 1e-5;
        (0..count).flat_map(|i| [angle(i).cos(), angle(i).sin()]).collect()
    }

    fn naive(
        rows: &[f32],
        columns: &[f32],
        threshold: f32,
        is_wanted: impl Fn(usize, usize) -> bool,
    ) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for (row, a) in rows.chunks(2).enumerate() {
            for (column, b) in columns.chunks(2).enumerate() {
                if is_wanted(row, column) && a[0] * b[0] + a[1] * b[1] >= threshold {
                    pairs.push((row, column));
                }
            }
        }
        pairs
    }

    fn numbers(found: &Found) -> Vec<(usize, usize)> {
        let mut pairs: Vec<_> = found.pairs.iter().map(|pair| (pair.row, pair.column)).collect();
        pairs.sort_unstable();
        pairs
    }

    fn features(values: &[f32]) -> Features<'_> {
        Features { dim: 2, values }
    }

    #[test]
    fn every_pair_across_blocks_is_found_once() {
        let (rows, columns) = (directions(2 * ROWS + 3), directions(COLUMNS + 70));
        let (phase, interrupt) = (Phase::hidden(), Interrupt::default());
        let found = between(features(&rows), features(&columns), 0.9995, &phase, &interrupt).unwrap();
        assert_eq!(numbers(&found), naive(&rows, &columns, 0.9995, |_, _| true));
        let found = within(features(&columns), 0.9995, &phase, &interrupt).unwrap();
        assert_eq!(numbers(&found), naive(&columns, &columns, 0.9995, |row, column| row < column));
        assert_eq!(found.count, found.pairs.len() as u64);
    }

    #[test]
    fn of_many_copies_the_first_ones_are_kept_and_all_are_counted() {
        let copies = [1.0, 0.0].repeat(COLUMNS + 100);
        let found = within(features(&copies), 0.5, &Phase::hidden(), &Interrupt::default()).unwrap();
        let images = COLUMNS as u64 + 100;
        assert_eq!(found.count, images * (images - 1) / 2);
        let of_first = found.pairs.iter().filter(|pair| pair.row == 0).map(|pair| pair.column);
        assert_eq!(of_first.collect::<Vec<_>>(), (1..=PARTNERS).collect::<Vec<_>>());
    }

    #[test]
    fn copies_are_found_at_the_highest_threshold() {
        let dim = 64;
        let mut values = Vec::new();
        for image in 0..200_usize {
            let feature: Vec<f32> =
                (0..dim).map(|i| ((image * 7919 + i * i * 104_729) % 1009) as f32 - 504.0).collect();
            let norm = feature.iter().map(|value| value * value).sum::<f32>().sqrt();
            let feature = feature.iter().map(|value| value / norm);
            values.extend(feature.clone().chain(feature));
        }
        let features = Features { dim, values: &values };
        let found = within(features, 1.0, &Phase::hidden(), &Interrupt::default()).unwrap();
        assert_eq!(found.count, 200);
        assert!(found.pairs.iter().all(|pair| pair.column == pair.row + 1 && pair.row.is_multiple_of(2)));
    }

    #[test]
    fn the_most_similar_partners_are_kept() {
        let rows = [1.0, 0.0];
        let columns: Vec<f32> =
            (0..40u32).map(|i| (i * 7 % 40) as f32 * 0.01).flat_map(|a| [a.cos(), a.sin()]).collect();
        let found =
            between(features(&rows), features(&columns), 0.9, &Phase::hidden(), &Interrupt::default())
                .unwrap();
        let kept: Vec<usize> = found.pairs.iter().map(|pair| pair.column * 7 % 40).collect();
        assert_eq!((kept, found.count), ((0..PARTNERS).collect(), 40));
    }

    #[test]
    fn an_interrupt_ends_it() {
        let values = directions(10);
        let interrupt = Interrupt::raised();
        assert!(within(features(&values), 0.5, &Phase::hidden(), &interrupt).is_err());
    }
}
