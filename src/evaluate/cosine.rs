//! Cosine similarities of many features to many.

use rayon::prelude::*;
use simsiam_model::backend::cpu::{Matrix, matrix_product};

/// Below this, a feature is taken to be zero: it stays zero, and is equally far from all others.
const MIN_NORM: f32 = 1e-12;

/// Gives every feature, a row of `dim` values, the norm 1.
///
/// # Errors
/// The first row found whose norm is not finite.
pub fn normalise(features: &mut [f32], dim: usize) -> Result<(), usize> {
    features.par_chunks_mut(dim).enumerate().try_for_each(|(row, feature)| {
        // In f64, so that no feature of finite values overflows.
        let norm = feature.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Err(row);
        }
        let scale = 1.0 / norm.max(f64::from(MIN_NORM));
        feature.iter_mut().for_each(|v| *v = (f64::from(*v) * scale) as f32);
        Ok(())
    })
}

/// Similarity of each feature in `rows` (a row of the result) to each in `columns` (a column); all have `dim` values and
/// the norm 1.
pub fn similarities(rows: &[f32], columns: &[f32], dim: usize) -> Vec<f32> {
    let matrix = |features| Matrix::of_rows(features, dim);
    let mut result = vec![0.0; (rows.len() / dim) * (columns.len() / dim)];
    matrix_product(&mut result, matrix(rows), matrix(columns).t());
    result
}
