//! The definition, which the other kernels are held against.

use super::{Rows, Target};
use crate::augment::resize::filter::Filter;
use crate::augment::resize::{HALF, to_byte};

pub(super) fn rows(filter: &Filter, source: Rows<'_>, mut target: Target<'_>) {
    for y in 0..source.count {
        row(filter, source.row(y), target.row(y));
    }
}

fn row(filter: &Filter, row: &[u8], [r, g, b]: [&mut [u8]; 3]) {
    let pixels = row.as_chunks::<3>().0;
    for ((((first, weights), r), g), b) in filter.all().zip(r).zip(g).zip(b) {
        let mut sums = [HALF; 3];
        for (pixel, weight) in pixels[first..].iter().zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(value) * weight;
            }
        }
        [*r, *g, *b] = sums.map(to_byte);
    }
}
