//! The first two principal components.

/// Rounds of the power iteration; more than a picture shows.
const ROUNDS: usize = 60;

/// Each feature, a row of `dim` values, by its first two principal components.
pub(super) fn pca(features: &[f32], dim: usize) -> Vec<[f32; 2]> {
    let centred = centred(features, dim);
    let first = component(&centred, dim, &[]);
    let second = component(&centred, dim, std::slice::from_ref(&first));
    centred.chunks_exact(dim).map(|row| [&first, &second].map(|axis| dot(row, axis) as f32)).collect()
}

/// The rows less their mean.
fn centred(features: &[f32], dim: usize) -> Vec<f64> {
    let rows = (features.len() / dim).max(1) as f64;
    let mut mean = vec![0.0; dim];
    for row in features.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / rows);
    }
    let values = features.chunks_exact(dim).flat_map(|row| row.iter().zip(&mean));
    values.map(|(value, mean)| f64::from(*value) - mean).collect()
}

/// The direction of the greatest variance that is orthogonal to those `before`, by power iteration on the covariance.
fn component(rows: &[f64], dim: usize, before: &[Vec<f64>]) -> Vec<f64> {
    // No direction in which features lie is orthogonal to this one by construction.
    let mut axis: Vec<f64> =
        (0..dim).map(|at| 1.0 + ((at * 7 + before.len() * 3) % 11) as f64 / 11.0).collect();
    for _ in 0..ROUNDS {
        let mut next = vec![0.0; dim];
        for row in rows.chunks_exact(dim) {
            let weight = dot(row, &axis);
            next.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
        for other in before {
            let along = dot(&next, other);
            next.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
        }
        let norm = dot(&next, &next).sqrt();
        if norm < 1e-30 {
            break;
        }
        axis = next.into_iter().map(|value| value / norm).collect();
    }
    axis
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_plane_in_space_keep_their_distances() {
        // A grid of 8 x 3, stretched along the first axis, on an oblique plane in four dimensions.
        let flat: Vec<[f32; 2]> = (0..24).map(|at| [5.0 * (at % 8) as f32, (at / 8) as f32]).collect();
        let features: Vec<f32> =
            flat.iter().flat_map(|[a, b]| [0.6 * a + 1.0, 0.8 * b, 0.8 * a - 2.0, 0.6 * b + 7.0]).collect();
        let found = pca(&features, 4);
        let distance = |one: [f32; 2], other: [f32; 2]| (one[0] - other[0]).hypot(one[1] - other[1]);
        for (one, other) in [(0, 23), (3, 4), (7, 16), (0, 8)] {
            let (before, after) = (distance(flat[one], flat[other]), distance(found[one], found[other]));
            assert!((before - after).abs() < 1e-3, "{before} became {after}");
        }
        let spread = |axis: usize| found.iter().map(|point| point[axis].abs()).fold(0.0, f32::max);
        assert!(spread(0) > spread(1));
    }

    #[test]
    fn equal_features_lie_on_one_point() {
        assert_eq!(pca(&[1.0; 12], 4), [[0.0; 2]; 3]);
    }
}
