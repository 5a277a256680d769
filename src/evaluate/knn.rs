//! The weighted kNN monitor of InstDisc (Wu et al. 2018, section 3.4): how well labels follow from the nearest features.
//!
//! Each query asks its k nearest neighbours of a labelled bank by cosine similarity, and each neighbour votes for its
//! label with weight exp(similarity / temperature). Nothing is trained, so it is cheap enough for every few epochs.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::cosine::{normalise, similarities};
use super::features::LabelledFeatures;
use super::scores::Verdict;
use crate::console::Phase;

/// Queries whose similarities are computed at once by one thread: at 50,000 features in the bank, 13 MB a thread.
const QUERY_BLOCK: usize = 64;

/// How neighbours are chosen and weighted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnnConfig {
    /// Number of neighbours; no more than the bank holds are used.
    pub k: usize,
    /// Similarities are divided by it before the exponential.
    pub temperature: f32,
}

impl Default for KnnConfig {
    /// The values of InstDisc, which SimSiam's monitor and most others use.
    fn default() -> Self {
        Self { k: 200, temperature: 0.1 }
    }
}

/// Why the monitor could not measure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KnnError {
    /// There is no feature to compare.
    #[error("the {0} of the kNN monitor is empty")]
    Empty(&'static str),
    /// The lengths of features and labels disagree.
    #[error("the {name} of the kNN monitor has {values} values for {labels} labels of {dim} values each")]
    Shape {
        /// Bank or query set.
        name: &'static str,
        /// Length of `features`.
        values: usize,
        /// Length of `labels`.
        labels: usize,
        /// Length of one feature.
        dim: usize,
    },
    /// Bank and queries have features of different lengths.
    #[error("the bank's features have {bank} values and the queries' {queries}")]
    Dimensions {
        /// Length of a feature of the bank.
        bank: usize,
        /// Length of a feature of a query.
        queries: usize,
    },
    /// A feature is NaN or infinite, so it has no neighbours: the encoder has diverged.
    #[error("feature {row} of the {name} is not finite")]
    NotFinite {
        /// Bank or query set.
        name: &'static str,
        /// Which feature.
        row: usize,
    },
    /// There must be a neighbour, and its weight a positive number.
    #[error(
        "kNN needs k of at least 1 and a temperature above 0, not k = {k} and temperature = {temperature}"
    )]
    Config {
        /// Number of neighbours.
        k: usize,
        /// Temperature of the weights.
        temperature: f32,
    },
}

/// Classifies the queries by their nearest neighbours in the bank; no more neighbours than it holds are asked.
///
/// Equal similarities go to the neighbour that comes first in the bank, and equal votes to the smaller label. The
/// result is the same for any number of threads. `phase` counts the queries. Features are normalised in place, so that a large bank is in memory once.
///
/// # Errors
/// If there is nothing to compare, lengths disagree, a feature is not finite, or the configuration makes no sense.
pub fn knn(
    bank: LabelledFeatures,
    queries: LabelledFeatures,
    config: KnnConfig,
    phase: &Phase,
) -> Result<Vec<Verdict>, KnnError> {
    let temperature_is_valid = config.temperature.is_finite() && config.temperature > 0.0;
    if config.k == 0 || !temperature_is_valid {
        return Err(KnnError::Config { k: config.k, temperature: config.temperature });
    }
    if bank.dim != queries.dim {
        return Err(KnnError::Dimensions { bank: bank.dim, queries: queries.dim });
    }
    let (dim, k) = (bank.dim, config.k.min(bank.labels.len()));
    let bank = &normalised(bank, "bank")?;
    let queries = normalised(queries, "query set")?;

    let verdicts = queries
        .features
        .par_chunks(QUERY_BLOCK * dim)
        .zip(queries.labels.par_chunks(QUERY_BLOCK))
        .flat_map_iter(|(rows, labels)| {
            let similarities = similarities(rows, &bank.features, dim);
            phase.inc(labels.len() as u64);
            let mut vote = Vote::new(k, config.temperature);
            let verdict = move |(row, &label): (&[f32], &u32)| vote.verdict(row, &bank.labels, label);
            similarities.chunks_exact(bank.labels.len()).zip(labels).map(verdict).collect::<Vec<_>>()
        })
        .collect();
    Ok(verdicts)
}

/// The features with norm 1, once their shape and values are seen to be sound.
fn normalised(mut set: LabelledFeatures, name: &'static str) -> Result<LabelledFeatures, KnnError> {
    let (values, labels, dim) = (set.features.len(), set.labels.len(), set.dim);
    if labels == 0 || dim == 0 {
        return Err(KnnError::Empty(name));
    }
    if labels.checked_mul(dim) != Some(values) {
        return Err(KnnError::Shape { name, values, labels, dim });
    }
    normalise(&mut set.features, dim).map_err(|row| KnnError::NotFinite { name, row })?;
    Ok(set)
}

/// The vote on one query at a time; its buffers serve the next.
struct Vote {
    k: usize,
    temperature: f32,
    neighbours: Vec<(f32, u32)>,
    tally: Vec<(u32, f64)>,
}

impl Vote {
    fn new(k: usize, temperature: f32) -> Self {
        Self { k, temperature, neighbours: Vec::new(), tally: Vec::new() }
    }

    /// Who wins the vote, and how many labels come before the query's own.
    fn verdict(&mut self, similarities: &[f32], bank_labels: &[u32], label: u32) -> Verdict {
        self.choose_neighbours(similarities);
        self.count_votes(bank_labels);
        self.tally.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let rank = self.tally.iter().position(|&(candidate, _)| candidate == label).unwrap_or(usize::MAX);
        Verdict { label, predicted: self.tally[0].0, rank }
    }

    /// Leaves the k nearest in `neighbours`, the nearest first, so that votes are always summed in the same order.
    fn choose_neighbours(&mut self, similarities: &[f32]) {
        let nearest_first =
            |a: &(f32, u32), b: &(f32, u32)| -> Ordering { b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)) };
        self.neighbours.clear();
        self.neighbours.extend(similarities.iter().copied().zip(0u32..));
        if self.k < self.neighbours.len() {
            self.neighbours.select_nth_unstable_by(self.k - 1, nearest_first);
            self.neighbours.truncate(self.k);
        }
        self.neighbours.sort_unstable_by(nearest_first);
    }

    /// Sums the neighbours' weights by label, relative to the nearest's, so that no temperature overflows.
    fn count_votes(&mut self, bank_labels: &[u32]) {
        self.tally.clear();
        let nearest = self.neighbours[0].0;
        for &(similarity, index) in &self.neighbours {
            let weight = (f64::from(similarity - nearest) / f64::from(self.temperature)).exp();
            let label = bank_labels[index as usize];
            match self.tally.iter_mut().find(|(candidate, _)| *candidate == label) {
                Some((_, votes)) => *votes += weight,
                None => self.tally.push((label, weight)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scores::accuracy;
    use super::*;

    fn classify(
        bank: &LabelledFeatures,
        queries: &LabelledFeatures,
        config: KnnConfig,
    ) -> Result<Vec<Verdict>, KnnError> {
        knn(bank.clone(), queries.clone(), config, &Phase::hidden())
    }

    fn top1(verdicts: &[Verdict]) -> f64 {
        accuracy(verdicts, 1)
    }

    /// Values in -1..1 from a linear congruential generator, with labels that the features tell only in part.
    fn random_features(n: usize, dim: usize, classes: u32, seed: u64) -> LabelledFeatures {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let labels: Vec<u32> = (0..n as u32).map(|i| i.wrapping_mul(2654435761) % classes).collect();
        let mut features = Vec::with_capacity(n * dim);
        for label in &labels {
            features.extend((0..dim).map(|d| next() + if d as u32 % classes == *label { 0.4 } else { 0.0 }));
        }
        LabelledFeatures { dim, features, labels }
    }

    /// The definition in f64, one query at a time: top-1 and top-5 in percent.
    fn naive(bank: &LabelledFeatures, queries: &LabelledFeatures, config: KnnConfig) -> (f64, f64) {
        let rows = |set: &LabelledFeatures| -> Vec<Vec<f64>> {
            set.features
                .chunks(set.dim)
                .map(|row| {
                    let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
                    row.iter().map(|&v| f64::from(v) / norm).collect()
                })
                .collect()
        };
        let (bank_rows, mut hits) = (rows(bank), [0.0, 0.0]);
        for (query, label) in rows(queries).iter().zip(&queries.labels) {
            let mut neighbours: Vec<(f64, u32)> = bank_rows
                .iter()
                .map(|row| row.iter().zip(query).map(|(a, b)| a * b).sum())
                .zip(bank.labels.iter().copied())
                .collect();
            neighbours.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut votes = vec![0.0; 1 + *bank.labels.iter().max().unwrap() as usize];
            for (similarity, label) in neighbours.iter().take(config.k) {
                votes[*label as usize] += (similarity / f64::from(config.temperature)).exp();
            }
            let own = votes[*label as usize];
            let better = if own > 0.0 { votes.iter().filter(|&&v| v > own).count() } else { usize::MAX };
            hits[0] += f64::from(u8::from(better < 1));
            hits[1] += f64::from(u8::from(better < 5));
        }
        let percent = 100.0 / queries.labels.len() as f64;
        (hits[0] * percent, hits[1] * percent)
    }

    #[test]
    fn agrees_with_the_definition() {
        let (bank, queries) = (random_features(700, 24, 8, 1), random_features(150, 24, 8, 2));
        for k in [1, 2, 5, 20, 200, 700] {
            for temperature in [0.05, 0.1, 1.0] {
                let config = KnnConfig { k, temperature };
                let verdicts = classify(&bank, &queries, config).unwrap();
                let found = (accuracy(&verdicts, 1), accuracy(&verdicts, 5));
                let (top1, top5) = naive(&bank, &queries, config);
                assert!((found.0 - top1).abs() < 1e-3, "{config:?}: {found:?}, not {top1}");
                assert!((found.1 - top5).abs() < 1e-3 || k < 5, "{config:?}: {found:?}, not {top5}");
            }
        }
    }

    #[test]
    fn uses_the_whole_bank_where_k_is_larger() {
        let (bank, queries) = (random_features(30, 6, 3, 3), random_features(70, 6, 3, 4));
        let of = |k| classify(&bank, &queries, KnnConfig { k, temperature: 0.1 }).unwrap();
        assert_eq!(of(1000), of(30));
    }

    #[test]
    fn is_the_same_on_any_number_of_threads() {
        let (bank, queries) = (random_features(500, 16, 10, 5), random_features(333, 16, 10, 6));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| classify(&bank, &queries, KnnConfig::default()).unwrap())
        };
        assert_eq!(on(1), on(2));
        assert_eq!(on(1), on(7));
    }

    #[test]
    fn ties_go_to_the_first_neighbour_and_the_smaller_label() {
        let bank = LabelledFeatures { dim: 1, features: vec![1.0, 2.0, 3.0], labels: vec![7, 4, 4] };
        let query = |label| LabelledFeatures { dim: 1, features: vec![5.0], labels: vec![label] };
        let top1 =
            |k, label| top1(&classify(&bank, &query(label), KnnConfig { k, temperature: 0.1 }).unwrap());
        assert_eq!((top1(1, 7), top1(2, 4), top1(3, 4)), (100.0, 100.0, 100.0));
    }

    #[test]
    fn one_class_is_always_right_and_an_unknown_label_never() {
        let (bank, mut queries) = (random_features(40, 4, 1, 7), random_features(10, 4, 1, 8));
        assert_eq!(top1(&classify(&bank, &queries, KnnConfig::default()).unwrap()), 100.0);
        queries.labels.fill(9);
        assert_eq!(accuracy(&classify(&bank, &queries, KnnConfig::default()).unwrap(), 5), 0.0);
    }

    #[test]
    fn features_of_zeros_or_of_huge_values_do_not_upset_it() {
        let bank = LabelledFeatures {
            dim: 2,
            features: vec![0.0, 0.0, 3e38, 3e38, -1.0, 0.0],
            labels: vec![0, 1, 2],
        };
        let config = KnnConfig { k: 1, temperature: 1e-3 };
        assert_eq!(classify(&bank, &bank, config).unwrap().len(), 3);
    }

    #[test]
    fn refuses_what_it_cannot_measure() {
        let some = random_features(4, 3, 2, 9);
        let config = KnnConfig::default();
        let none = LabelledFeatures { dim: 3, ..Default::default() };
        assert_eq!(classify(&none, &some, config), Err(KnnError::Empty("bank")));
        assert_eq!(classify(&some, &none, config), Err(KnnError::Empty("query set")));
        let short = LabelledFeatures { labels: vec![0; 3], ..some.clone() };
        assert!(matches!(classify(&some, &short, config), Err(KnnError::Shape { labels: 3, .. })));
        let wide = random_features(4, 5, 2, 9);
        assert_eq!(classify(&some, &wide, config), Err(KnnError::Dimensions { bank: 3, queries: 5 }));
        let mut broken = some.clone();
        broken.features[7] = f32::NAN;
        assert_eq!(classify(&broken, &some, config), Err(KnnError::NotFinite { name: "bank", row: 2 }));
        let frozen = KnnConfig { temperature: 0.0, ..config };
        assert!(matches!(classify(&some, &some, frozen), Err(KnnError::Config { .. })));
    }
}
