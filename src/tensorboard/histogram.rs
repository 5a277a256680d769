//! Values as a histogram.

use super::proto::Histogram;

/// Buckets of equal width between the least and the greatest value.
const BUCKETS: usize = 64;

/// The histogram of these values; those that are not finite are left out. `None` if there are none.
pub(super) fn histogram(values: &[f64]) -> Option<Histogram> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (min, max) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
    let width = (max - min) / BUCKETS as f64;
    let mut bucket = vec![0.0; BUCKETS];
    for value in finite() {
        let at = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
        bucket[at.min(BUCKETS - 1)] += 1.0;
    }
    // The last limit is the greatest value itself, whatever the rounding.
    let limits = (1..BUCKETS).map(|at| min + width * at as f64).chain([max]);
    Some(Histogram {
        min,
        max,
        num: finite().count() as f64,
        sum: finite().sum(),
        sum_squares: finite().map(|value| value * value).sum(),
        bucket_limit: limits.collect(),
        bucket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_in_a_bucket() {
        let values: Vec<f64> = (0..=640).map(f64::from).chain([f64::NAN, f64::INFINITY]).collect();
        let found = histogram(&values).unwrap();
        assert_eq!((found.min, found.max, found.num), (0.0, 640.0, 641.0));
        assert_eq!((found.bucket[0], found.bucket[63]), (10.0, 11.0));
        assert_eq!((found.bucket_limit[0], found.bucket_limit[63]), (10.0, 640.0));
        assert_eq!(found.bucket.iter().sum::<f64>(), found.num);
    }

    #[test]
    fn equal_values_share_a_bucket_and_none_have_no_histogram() {
        let found = histogram(&[2.0; 5]).unwrap();
        assert_eq!((found.bucket[0], found.bucket_limit[63], found.sum_squares), (5.0, 2.0, 20.0));
        assert!(histogram(&[f64::NAN]).is_none());
    }
}
