//! t-SNE (van der Maaten & Hinton 2008), exact: for the thousand points of a page it takes seconds, begins with the principal
//! components and gives the same map each time. Features are compared by their cosine, as kNN compares them.

use rayon::prelude::*;

use super::pca::pca;
use crate::console::Phase;
use crate::evaluate::cosine::{normalise, similarities};

/// Steps of gradient descent.
pub(super) const STEPS: u64 = 500;
/// Steps in which similar points are pulled together more strongly, and how much more.
const EARLY: u64 = 125;
const EXAGGERATION: f64 = 12.0;
/// Neighbours that a point has, in effect.
const PERPLEXITY: f64 = 30.0;

/// A place on each of the map's two axes.
type Point = [f64; 2];

/// The map of features, rows of `dim` values each; `phase` counts the steps.
pub(super) fn tsne(features: &[f32], dim: usize, phase: &Phase) -> Vec<[f32; 2]> {
    let count = features.len() / dim;
    if count < 4 {
        return pca(features, dim);
    }
    let joint = joint_probabilities(features, dim);
    let mut map = beginning(features, dim);
    let mut speeds = vec![0.0f64; 2 * count];
    let mut gains = vec![1.0f64; 2 * count];
    // Belkina et al. 2019: the rate follows the number of points.
    let rate = (count as f64 / EXAGGERATION / 4.0).max(50.0);
    for step in 0..STEPS {
        let (exaggeration, momentum) = if step < EARLY { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let slopes = gradient(&map, &joint, exaggeration);
        let moved = map.as_flattened_mut().iter_mut().zip(&mut speeds).zip(&mut gains);
        for (((value, speed), gain), slope) in moved.zip(slopes.as_flattened()) {
            // Jacobs 1988, as in the paper's code.
            *gain = if (*slope > 0.0) == (*speed > 0.0) { (0.8 * *gain).max(0.01) } else { *gain + 0.2 };
            *speed = momentum * *speed - rate * *gain * slope;
            *value += *speed;
        }
        phase.inc(1);
    }
    map.into_iter().map(|point| point.map(|value| value as f32)).collect()
}

/// The principal components, made so small that all points begin close together.
fn beginning(features: &[f32], dim: usize) -> Vec<Point> {
    let components = pca(features, dim);
    let largest = components.iter().map(|point| point[0].abs()).fold(f32::MIN_POSITIVE, f32::max);
    components.iter().map(|point| point.map(|value| 1e-4 * f64::from(value / largest))).collect()
}

/// How likely each pair is to be neighbours; all pairs together 1.
fn joint_probabilities(features: &[f32], dim: usize) -> Vec<f64> {
    let mut unit = features.to_vec();
    // Features were checked to be finite when they were made.
    let _ = normalise(&mut unit, dim);
    let similarities = similarities(&unit, &unit, dim);
    let count = unit.len() / dim;
    let perplexity = PERPLEXITY.min((count - 1) as f64 / 3.0);
    let of_row = |(at, row): (usize, &[f32])| {
        let distances: Vec<f64> = row.iter().map(|similarity| 2.0 - 2.0 * f64::from(*similarity)).collect();
        conditional(&distances, at, perplexity)
    };
    let rows: Vec<Vec<f64>> = similarities.par_chunks_exact(count).enumerate().map(of_row).collect();
    let pair = |at: usize| (rows[at / count][at % count] + rows[at % count][at / count]) / (2 * count) as f64;
    (0..count * count).map(|at| pair(at).max(1e-12)).collect()
}

/// How likely each other point is a point's neighbour: a Gaussian as wide as the perplexity asks for.
fn conditional(distances: &[f64], own: usize, perplexity: f64) -> Vec<f64> {
    let nearest =
        (0..distances.len()).filter(|at| *at != own).map(|at| distances[at]).fold(f64::INFINITY, f64::min);
    let (mut least, mut most, mut precision) = (0.0, f64::INFINITY, 1.0);
    let mut weights = Vec::new();
    for _ in 0..60 {
        let weight = |(at, distance): (usize, &f64)| {
            if at == own { 0.0 } else { (-precision * (distance - nearest)).exp() }
        };
        weights = distances.iter().enumerate().map(weight).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let entropy: f64 = weights.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        if (entropy - perplexity.ln()).abs() < 1e-5 {
            break;
        }
        if entropy > perplexity.ln() {
            least = precision;
            precision = if most.is_finite() { (precision + most) / 2.0 } else { 2.0 * precision };
        } else {
            most = precision;
            precision = (precision + least) / 2.0;
        }
    }
    weights
}

/// The slope of the Kullback-Leibler divergence for each point. Sums have a fixed order, whatever the number of threads.
fn gradient(map: &[Point], joint: &[f64], exaggeration: f64) -> Vec<Point> {
    let count = map.len();
    let of_row = |(at, row): (usize, &[f64])| {
        let (mut pull, mut push, mut total) = ([0.0; 2], [0.0; 2], 0.0f64);
        for (other, probability) in row.iter().enumerate().filter(|(other, _)| *other != at) {
            let difference = [0, 1].map(|axis| map[at][axis] - map[other][axis]);
            let kernel = 1.0 / (1.0 + difference[0] * difference[0] + difference[1] * difference[1]);
            total += kernel;
            pull = [0, 1].map(|axis| pull[axis] + probability * kernel * difference[axis]);
            push = [0, 1].map(|axis| push[axis] + kernel * kernel * difference[axis]);
        }
        (pull, push, total)
    };
    let rows: Vec<_> = joint.par_chunks_exact(count).enumerate().map(of_row).collect();
    let total: f64 = rows.iter().map(|(.., total)| total).sum();
    let slope = |(pull, push, _): &(Point, Point, f64)| {
        [0, 1].map(|axis| 4.0 * (exaggeration * pull[axis] - push[axis] / total))
    };
    rows.iter().map(slope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_lie_apart_stay_apart() {
        // Three directions in ten dimensions, with a ripple about each.
        let (classes, of_class, dim) = (3, 30, 10);
        let value = |class: usize, at: usize, d: usize| {
            let ripple = ((at * 31 + d * 17 + class * 7) as f32 * 0.7).sin() * 0.1;
            if d % classes == class { 1.0 + ripple } else { ripple }
        };
        let features: Vec<f32> = (0..classes * of_class)
            .flat_map(|at| (0..dim).map(move |d| value(at / of_class, at % of_class, d)))
            .collect();
        let map = tsne(&features, dim, &Phase::hidden());
        let distance = |one: [f32; 2], other: [f32; 2]| (one[0] - other[0]).hypot(one[1] - other[1]);
        for (at, point) in map.iter().enumerate() {
            let others = (0..map.len()).filter(|other| *other != at);
            let nearest = others
                .min_by(|one, other| distance(*point, map[*one]).total_cmp(&distance(*point, map[*other])));
            assert_eq!(nearest.unwrap() / of_class, at / of_class, "point {at}");
        }
        assert_eq!(map, tsne(&features, dim, &Phase::hidden()), "the same features make the same map");
    }

    #[test]
    fn a_point_has_as_many_neighbours_as_the_perplexity_says() {
        let distances: Vec<f64> = (0..200).map(|at| f64::from(at) * 0.01).collect();
        let found = conditional(&distances, 0, 30.0);
        let entropy: f64 = found.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        assert!((entropy.exp() - 30.0).abs() < 0.01 && found[0] == 0.0, "{}", entropy.exp());
    }

    #[test]
    fn few_or_equal_features_have_a_map() {
        assert_eq!(tsne(&[1.0, 0.0, 0.0, 1.0], 2, &Phase::hidden()).len(), 2);
        let map = tsne(&[1.0; 40], 4, &Phase::hidden());
        assert!(map.iter().flatten().all(|value| value.is_finite()), "{map:?}");
    }
}
