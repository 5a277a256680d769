//! A line of a chart: the mean over a group's runs, and no more points than a screen shows.

use std::collections::BTreeMap;

/// A point of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// The step.
    pub(super) step: u64,
    /// The mean over the runs; `None` leaves a gap.
    pub(super) mean: Option<f64>,
    /// Least and most over the runs, where there are several.
    pub(super) band: Option<(f64, f64)>,
}

/// The line of a group, of which these are the runs' values in the order of their steps. A run without any is left out; else the
/// line has the steps that all runs have, so that it never jumps where a run ends.
pub(super) fn average(runs: &[Vec<(u64, Option<f64>)>]) -> Vec<Point> {
    let runs: Vec<_> = runs.iter().filter(|values| !values.is_empty()).collect();
    let mut at: BTreeMap<u64, Vec<Option<f64>>> = BTreeMap::new();
    for values in &runs {
        // A step that a damaged file has twice counts once, with its last value.
        let once: BTreeMap<u64, Option<f64>> = values.iter().copied().collect();
        once.into_iter().for_each(|(step, value)| at.entry(step).or_default().push(value));
    }
    let point = |(step, values): (u64, Vec<Option<f64>>)| {
        let found: Option<Vec<f64>> = values.into_iter().collect();
        let mean = found.as_ref().map(|found| found.iter().sum::<f64>() / found.len() as f64);
        let band = found.filter(|found| found.len() > 1).map(|found| range(found.into_iter()));
        Point { step, mean, band }
    };
    at.into_iter().filter(|(_, values)| values.len() == runs.len()).map(point).collect()
}

/// The points that are drawn, at most about `2 * buckets` of them: the least and the greatest of each bucket of points that
/// follow one another, with the widest band in the bucket, the first gap, and the line's two ends.
pub(super) fn thin(points: &[Point], buckets: usize) -> Vec<Point> {
    if points.len() <= 2 * buckets {
        return points.to_vec();
    }
    let last = points.len() - 1;
    let mut kept = Vec::with_capacity(2 * buckets + 2);
    for bucket in 0..buckets {
        let (from, to) = (bucket * points.len() / buckets, (bucket + 1) * points.len() / buckets);
        let known = || (from..to).filter_map(|at| Some((at, points[at].mean?)));
        let least = known().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at);
        let most = known().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at);
        let gap = (from..to).find(|at| points[*at].mean.is_none());
        let mut chosen: Vec<usize> = [least, most, gap].into_iter().flatten().collect();
        chosen.extend([0, last].into_iter().filter(|end| (from..to).contains(end)));
        chosen.sort_unstable();
        chosen.dedup();
        let bands = points[from..to].iter().filter_map(|point| point.band);
        let band = bands.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        kept.extend(chosen.into_iter().map(|at| Point { band: points[at].band.and(band), ..points[at] }));
    }
    kept
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_over_the_steps_that_all_runs_have() {
        let runs = [
            vec![(1, Some(1.0)), (2, Some(2.0)), (3, Some(5.0))],
            vec![(1, Some(3.0)), (2, None)],
            Vec::new(),
        ];
        let expected = [
            Point { step: 1, mean: Some(2.0), band: Some((1.0, 3.0)) },
            Point { step: 2, mean: None, band: None },
        ];
        assert_eq!(average(&runs), expected);
        assert_eq!(average(&runs[..1])[2], Point { step: 3, mean: Some(5.0), band: None });
    }

    #[test]
    fn thinning_keeps_a_single_spike_a_gap_and_both_ends() {
        let value = |step| match step {
            54_321 => Some(9.0),
            70_000 => None,
            _ => Some((step % 7) as f64 / 7.0),
        };
        let points: Vec<Point> =
            (0..100_000).map(|step| Point { step, mean: value(step), band: None }).collect();
        let kept = thin(&points, 500);
        assert!(kept.len() <= 1_003, "{}", kept.len());
        assert!(kept.windows(2).all(|pair| pair[0].step < pair[1].step));
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[99_999]));
        assert!(kept.contains(&points[54_321]) && kept.contains(&points[70_000]));
    }

    #[test]
    fn a_kept_point_has_the_widest_band_of_its_bucket() {
        let band = |step: u64| if step == 3 { Some((-9.0, 9.0)) } else { Some((0.0, 1.0)) };
        let points: Vec<Point> =
            (0..40).map(|step| Point { step, mean: Some(step as f64), band: band(step) }).collect();
        let kept = thin(&points, 5);
        assert_eq!(kept.len(), 10);
        assert_eq!((kept[0].band, kept[1].band), (Some((-9.0, 9.0)), Some((-9.0, 9.0))));
        assert_eq!(kept[2].band, Some((0.0, 1.0)));
    }

    #[test]
    fn few_points_are_all_kept() {
        let points = [Point { step: 1, mean: None, band: None }; 10];
        assert_eq!(thin(&points, 5), points);
        assert!(thin(&[], 5).is_empty());
    }
}
