//! The weights of an antialiased filter.

use super::{Axis, ONE};

/// The source pixels and fixed-point weights of each position that is shown, along one axis.
#[derive(Debug, Default)]
pub(super) struct Filter {
    spans: Vec<Span>,
    weights: Vec<i32>,
}

/// Which weights belong to a position.
#[derive(Debug)]
struct Span {
    /// First source pixel, counted from the first one that any position sees.
    first: usize,
    begin: usize,
    end: usize,
}

impl Filter {
    /// Plans the filter along `axis`, its positions in reverse order if `reversed` (Resample.c, `precompute_coeffs` and
    /// `normalize_coeffs_8bpc`).
    pub(super) fn plan(&mut self, axis: &Axis, reversed: bool) {
        let inverse_stretch = 1.0 / axis.stretch();
        let seen = axis.taps(axis.shown.start).start;
        self.spans.clear();
        self.weights.clear();
        for number in axis.shown.clone() {
            let position = if reversed { axis.shown.start + axis.shown.end - 1 - number } else { number };
            let (center, taps) = (axis.center(position), axis.taps(position));
            let weight = |x: usize| axis.interpolation.weight((x as f64 - center + 0.5) * inverse_stretch);
            let total = taps.clone().map(weight).sum::<f64>();
            let begin = self.weights.len();
            for x in taps.clone() {
                let weight = weight(x) / total * f64::from(ONE);
                self.weights.push((weight + 0.5f64.copysign(weight)) as i32);
            }
            self.spans.push(Span { first: taps.start - seen, begin, end: self.weights.len() });
        }
    }

    /// First source pixel of a shown position, and the weights from there on.
    pub(super) fn taps(&self, position: usize) -> (usize, &[i32]) {
        let Span { first, begin, end } = self.spans[position];
        (first, &self.weights[begin..end])
    }

    /// The taps of every shown position.
    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = (usize, &[i32])> {
        self.spans.iter().map(|span| (span.first, &self.weights[span.begin..span.end]))
    }

    /// The most weights that a position has.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn longest(&self) -> usize {
        self.all().map(|(_, weights)| weights.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
impl Filter {
    pub(in crate::augment) fn capacity(&self) -> usize {
        self.weights.capacity()
    }
}
