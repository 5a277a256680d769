//! Softmax regression: one linear layer, its cross-entropy, and the gradient.

use rayon::prelude::*;
use simsiam_model::backend::cpu::{Matrix, matrix_product};
use simsiam_pipeline::rng::ViewRng;

use super::super::features::LabelledFeatures;
use super::super::scores::Verdict;

/// Rows of a batch that one thread takes at a time.
const ROW_BLOCK: usize = 64;
/// Feature channels whose weights' gradient one thread computes at a time.
const CHANNEL_BLOCK: usize = 32;
/// Standard deviation of the initial weights, as in the released codes.
const INIT_STD: f64 = 0.01;
/// Sets the stream of initial weights apart from those of views.
const INIT: u64 = u64::MAX;

/// A linear classifier `dim -> classes`: `logits = features weight + bias`. Its gradient has the same form.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    classes: usize,
    /// `dim x classes`.
    pub weight: Vec<f32>,
    /// `classes`.
    pub bias: Vec<f32>,
}

impl Head {
    /// Weights from N(0, 0.01), bias 0.
    pub fn new(dim: usize, classes: usize, seed: u64) -> Self {
        let mut rng = ViewRng::new(seed, INIT, 0, 0);
        // Box and Muller.
        let mut normal = || {
            let radius = (-2.0 * (1.0 - rng.uniform(0.0, 1.0)).ln()).sqrt();
            radius * (std::f64::consts::TAU * rng.uniform(0.0, 1.0)).cos()
        };
        let weight = (0..dim * classes).map(|_| (INIT_STD * normal()) as f32).collect();
        Self { classes, weight, bias: vec![0.0; classes] }
    }

    /// All zeros, of the same form.
    pub fn zeros_like(&self) -> Self {
        Self { classes: self.classes, weight: vec![0.0; self.weight.len()], bias: vec![0.0; self.classes] }
    }

    /// Whether all weights are numbers that can be computed with.
    pub fn is_finite(&self) -> bool {
        self.weight.iter().chain(&self.bias).all(|value| value.is_finite())
    }

    /// Mean cross-entropy of a batch, `batch x dim`, and its gradient.
    pub fn loss(&self, features: &[f32], labels: &[u32]) -> (f64, Head) {
        let (loss, gradient, _) = self.loss_and_errors(features, labels);
        (loss, gradient)
    }

    /// As [`loss`](Self::loss), and the gradient by the features, `batch x dim`.
    pub fn loss_through(&self, features: &[f32], labels: &[u32]) -> (f64, Head, Vec<f32>) {
        let (loss, gradient, errors) = self.loss_and_errors(features, labels);
        let mut through = vec![0.0; features.len()];
        let weight = Matrix::of_rows(&self.weight, self.classes).t();
        matrix_product(&mut through, Matrix::of_rows(&errors, self.classes), weight);
        (loss, gradient, through)
    }

    /// The loss, its gradient, and that by the logits.
    fn loss_and_errors(&self, features: &[f32], labels: &[u32]) -> (f64, Head, Vec<f32>) {
        let (dim, batch) = (self.dim(), labels.len());
        let mut gradient = self.zeros_like();
        let mut errors = self.logits(features);
        let mut loss = 0.0;
        for (row, &label) in errors.chunks_exact_mut(self.classes).zip(labels) {
            loss += cross_entropy(row, label as usize);
            for (sum, error) in gradient.bias.iter_mut().zip(row) {
                *error /= batch as f32;
                *sum += *error;
            }
        }
        // features' x errors, with every sum over the batch in one thread and in one order.
        let (features, products) =
            (Matrix::of_rows(features, dim).t(), Matrix::of_rows(&errors, self.classes));
        let blocks = gradient.weight.par_chunks_mut(CHANNEL_BLOCK * self.classes).enumerate();
        blocks.for_each(|(block, weight)| {
            let first = block * CHANNEL_BLOCK;
            matrix_product(weight, features.rows(first..dim.min(first + CHANNEL_BLOCK)), products);
        });
        (loss / batch as f64, gradient, errors)
    }

    /// How every feature is classified; equal logits go to the smaller label.
    pub fn judge(&self, set: &LabelledFeatures) -> Vec<Verdict> {
        let blocks = set.features.par_chunks(ROW_BLOCK * self.dim()).zip(set.labels.par_chunks(ROW_BLOCK));
        let verdict = |(row, &label): (&[f32], &u32)| {
            let before = |a: usize, b: usize| row[a] > row[b] || (row[a] == row[b] && a < b);
            let own = label as usize;
            let best =
                (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
            let rank = (0..row.len()).filter(|&class| before(class, own)).count();
            Verdict { label, predicted: best as u32, rank }
        };
        blocks
            .flat_map_iter(|(rows, labels)| {
                let logits = self.logits(rows);
                logits.chunks_exact(self.classes).zip(labels).map(verdict).collect::<Vec<_>>()
            })
            .collect()
    }

    fn logits(&self, features: &[f32]) -> Vec<f32> {
        let (dim, weight) = (self.dim(), Matrix::of_rows(&self.weight, self.classes));
        let mut logits = vec![0.0; features.len() / dim * self.classes];
        let blocks =
            logits.par_chunks_mut(ROW_BLOCK * self.classes).zip(features.par_chunks(ROW_BLOCK * dim));
        blocks.for_each(|(logits, features)| {
            matrix_product(logits, Matrix::of_rows(features, dim), weight);
            for row in logits.chunks_exact_mut(self.classes) {
                row.iter_mut().zip(&self.bias).for_each(|(logit, bias)| *logit += bias);
            }
        });
        logits
    }

    fn dim(&self) -> usize {
        self.weight.len() / self.classes
    }
}

/// `-log softmax(logits)[label]`; leaves its gradient, `softmax(logits) - onehot(label)`, in place of the logits.
fn cross_entropy(logits: &mut [f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let own = logits[label] - largest;
    let mut sum = 0.0;
    for logit in &mut *logits {
        *logit = (*logit - largest).exp();
        sum += f64::from(*logit);
    }
    logits.iter_mut().for_each(|share| *share = (f64::from(*share) / sum) as f32);
    logits[label] -= 1.0;
    sum.ln() - f64::from(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    #[test]
    fn the_loss_of_equal_logits_is_the_logarithm_of_the_classes() {
        let mut logits = [3.0; 4];
        assert!((cross_entropy(&mut logits, 2) - 4f64.ln()).abs() < 1e-7);
        assert_eq!(logits, [0.25, 0.25, -0.75, 0.25]);
        let mut sure = [-1e4, 0.0, 1e4];
        assert_eq!(cross_entropy(&mut sure, 2), 0.0);
        assert_eq!(cross_entropy(&mut [-1e4, 0.0, 1e4], 0), 2e4);
    }

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let (dim, classes, batch) = (37, 5, 70);
        let mut head = Head::new(dim, classes, 1);
        head.weight = values(dim * classes, 1);
        let (features, labels) =
            (values(batch * dim, 2), (0..batch as u32).map(|i| i * i % 5).collect::<Vec<_>>());
        let (_, gradient) = head.loss(&features, &labels);
        let step = 1e-2f32;
        let difference = |change: &dyn Fn(&mut Head, f32)| {
            let at = |by: f32| {
                let mut moved = head.clone();
                change(&mut moved, by);
                moved.loss(&features, &labels).0
            };
            (at(step) - at(-step)) / f64::from(2.0 * step)
        };
        for index in 0..dim * classes {
            let expected = difference(&|head, by| head.weight[index] += by);
            let found = f64::from(gradient.weight[index]);
            assert!((found - expected).abs() < 1e-4, "weight {index}: {found}, not {expected}");
        }
        let (_, _, through) = head.loss_through(&features, &labels);
        for index in [0, dim + 3, 40 * dim + 36] {
            let at = |by: f32| {
                let mut moved = features.clone();
                moved[index] += by;
                head.loss(&moved, &labels).0
            };
            let expected = (at(step) - at(-step)) / f64::from(2.0 * step);
            let found = f64::from(through[index]);
            assert!((found - expected).abs() < 1e-4, "feature {index}: {found}, not {expected}");
        }
        for index in 0..classes {
            let expected = difference(&|head, by| head.bias[index] += by);
            let found = f64::from(gradient.bias[index]);
            assert!((found - expected).abs() < 1e-4, "bias {index}: {found}, not {expected}");
        }
    }

    #[test]
    fn the_largest_logit_wins_and_equals_go_to_the_smaller_label() {
        let mut head = Head::new(1, 7, 0);
        head.weight = vec![0.0; 7];
        head.bias = vec![1.0, 5.0, 3.0, 5.0, 0.0, 2.0, -1.0];
        let labels: Vec<u32> = (0..7).collect();
        let verdicts = head.judge(&LabelledFeatures { dim: 1, features: vec![1.0; 7], labels });
        assert!(verdicts.iter().all(|verdict| verdict.predicted == 1));
        assert_eq!(verdicts.iter().map(|verdict| verdict.rank).collect::<Vec<_>>(), [4, 0, 2, 1, 5, 3, 6]);
    }

    #[test]
    fn initial_weights_have_their_spread_and_follow_the_seed() {
        let head = Head::new(100, 100, 7);
        let std = (head.weight.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / 1e4).sqrt();
        assert!((std - 0.01).abs() < 3e-4, "{std}");
        assert_eq!(head, Head::new(100, 100, 7));
        assert_ne!(head, Head::new(100, 100, 8));
    }
}
