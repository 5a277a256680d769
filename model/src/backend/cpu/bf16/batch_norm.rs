//! Batch norm of images of bf16: channels are neighbours, so that a run of pixels is a run of vectors whose lanes are channels.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{halves, narrowed, pair, widened};
use crate::backend::cpu::batch_norm::{
    Backward, Extents, Forward, GradientSums, GradientTerms, Mask, Moments, Terms, add_up, at_least, passed,
};
use crate::backend::cpu::vectorized;

/// Parts of the work, if there are as many blocks.
const PARTS: usize = 16;
/// Words that are processed together.
const LANES: usize = 8;
/// Chunks of a block, at least, so that sums of few channels do not wait for each other.
const MIN_CHUNKS: usize = 8;
/// Blocks whose sums are in f32, before they go on in f64.
const RUN: usize = 32;

/// Some words.
type Words = [f32; LANES];

/// The values of some words: the first halves', then the second halves'.
type Values = [[f32; LANES]; 2];

#[inline(always)]
fn values_of(words: &Words) -> Values {
    let mut values = [[0.0; LANES]; 2];
    for lane in 0..LANES {
        let bits = words[lane].to_bits();
        values[0][lane] = f32::from_bits(bits << 16);
        values[1][lane] = f32::from_bits(bits & 0xffff_0000);
    }
    values
}

#[inline(always)]
fn words_of(values: &Values) -> Words {
    let mut words = [0.0; LANES];
    for lane in 0..LANES {
        words[lane] = f32::from_bits(pair(narrowed(values[0][lane]), narrowed(values[1][lane])));
    }
    words
}

/// The values of chunk `i` of some words, the last filled up with zeros.
#[inline(always)]
fn chunk(words: &[f32], i: usize) -> Values {
    let rest = &words[i * LANES..];
    match rest.first_chunk() {
        Some(chunk) => values_of(chunk),
        None => values_of(&filled_up(rest)),
    }
}

/// Those of some slices. A loop, for what an array's `map` calls is not compiled for the vectors of its caller.
#[inline(always)]
fn chunks<const N: usize>(slices: [&[f32]; N], i: usize) -> [Values; N] {
    let mut values = [[[0.0; LANES]; 2]; N];
    for n in 0..N {
        values[n] = chunk(slices[n], i);
    }
    values
}

#[cold]
fn filled_up(words: &[f32]) -> Words {
    let mut chunk = [0.0; LANES];
    chunk[..words.len()].copy_from_slice(words);
    chunk
}

/// Overwrites chunk `i`.
#[inline(always)]
fn put<T>(words: &mut [T], i: usize, values: &Values, stored: impl Fn(f32) -> T) {
    let rest = &mut words[i * LANES..];
    let words = words_of(values);
    match rest.first_chunk_mut::<LANES>() {
        Some(to) => {
            for lane in 0..LANES {
                to[lane] = stored(words[lane]);
            }
        }
        None => rest.iter_mut().zip(words).for_each(|(to, word)| *to = stored(word)),
    }
}

/// What each chunk of a block has of its channels.
struct Lanes<const N: usize>(Vec<[Values; N]>);

impl<const N: usize> Lanes<N> {
    /// The numbers of each channel; a second half that is no channel has zeros.
    fn new(layout: Extents, of_channel: impl Fn(usize) -> [f32; N]) -> Self {
        let words = layout.words();
        let numbers: Vec<[f32; N]> = (0..layout.channels).map(of_channel).collect();
        let number = |which: usize, half: usize, word: usize| {
            numbers.get(word % words * 2 + half).map_or(0.0, |numbers| numbers[which])
        };
        let of_chunk = |chunk: usize| {
            std::array::from_fn(|which| {
                [0, 1].map(|half| std::array::from_fn(|lane| number(which, half, chunk * LANES + lane)))
            })
        };
        Self((0..layout.chunks()).map(of_chunk).collect())
    }
}

impl Extents {
    /// Words of a pixel.
    fn words(&self) -> usize {
        self.channels.div_ceil(2)
    }

    /// Chunks of a block: those of whole pixels.
    fn chunks(&self) -> usize {
        let odd = self.words() >> self.words().trailing_zeros().min(LANES.trailing_zeros());
        odd * MIN_CHUNKS.div_ceil(odd)
    }

    /// Words of a part of the work: whole blocks.
    fn part_words(&self) -> usize {
        let block = self.chunks() * LANES;
        (self.count() * self.words()).div_ceil(block).div_ceil(PARTS).max(1) * block
    }

    /// Two sums for each channel, of what `each` makes of the values of the slices and of the channels' numbers.
    #[inline(always)]
    fn sum_values<const N: usize, const M: usize>(
        self,
        slices: [&[f32]; N],
        lanes: &Lanes<M>,
        each: impl Fn([f32; N], [f32; M]) -> [f32; 2] + Sync,
    ) -> Vec<[f64; 2]> {
        let (part, block) = (self.part_words(), self.chunks() * LANES);
        let parts: Vec<Vec<[f64; 2]>> = (0..slices[0].len().div_ceil(part))
            .into_par_iter()
            .map(|i| {
                let slices = slices.map(|slice| &slice[i * part..slice.len().min((i + 1) * part)]);
                let mut totals = vec![[0.0; 2]; 2 * self.words()];
                let mut sums: Vec<[Values; 2]> = vec![[[[0.0; LANES]; 2]; 2]; lanes.0.len()];
                vectorized(
                    #[inline(always)]
                    || {
                        for from in (0..slices[0].len()).step_by(RUN * block) {
                            let run = slices.map(|slice| &slice[from..slice.len().min(from + RUN * block)]);
                            sum_run(run, lanes, &each, &mut sums);
                            self.flush(&mut sums, &mut totals);
                        }
                    },
                );
                totals
            })
            .collect();
        add_up(self.channels, &parts)
    }

    /// Adds the sums to those of their channels, and sets them to 0.
    #[inline(always)]
    fn flush(&self, sums: &mut [[Values; 2]], totals: &mut [[f64; 2]]) {
        for (chunk, [first, second]) in sums.iter_mut().enumerate() {
            for half in 0..2 {
                for lane in 0..LANES {
                    let total = &mut totals[(chunk * LANES + lane) % self.words() * 2 + half];
                    total[0] += f64::from(first[half][lane]);
                    total[1] += f64::from(second[half][lane]);
                }
            }
            *first = [[0.0; LANES]; 2];
            *second = [[0.0; LANES]; 2];
        }
    }
}

#[inline(always)]
fn sum_run<const N: usize, const M: usize>(
    slices: [&[f32]; N],
    lanes: &Lanes<M>,
    each: impl Fn([f32; N], [f32; M]) -> [f32; 2],
    sums: &mut [[Values; 2]],
) {
    let count = slices[0].len().div_ceil(LANES);
    for from in (0..count).step_by(lanes.0.len()) {
        for (i, (numbers, [first, second])) in (from..count).zip(lanes.0.iter().zip(sums.iter_mut())) {
            let values = chunks(slices, i);
            // First all, then their sums: else the compiler goes through the lanes one by one.
            let (mut x, mut y) = ([[0.0; LANES]; 2], [[0.0; LANES]; 2]);
            for half in 0..2 {
                for lane in 0..LANES {
                    [x[half][lane], y[half][lane]] = each(at(&values, half, lane), at(numbers, half, lane));
                }
            }
            // Not those that the last chunk was filled up with.
            for lane in (slices[0].len() - i * LANES).min(LANES)..LANES {
                for half in 0..2 {
                    (x[half][lane], y[half][lane]) = (0.0, 0.0);
                }
            }
            add(&x, first);
            add(&y, second);
        }
    }
}

#[inline(always)]
fn add(values: &Values, to: &mut Values) {
    for half in 0..2 {
        for lane in 0..LANES {
            to[half][lane] += values[half][lane];
        }
    }
}

#[inline(always)]
fn at<const N: usize>(values: &[Values; N], half: usize, lane: usize) -> [f32; N] {
    std::array::from_fn(
        #[inline(always)]
        |i| values[i][half][lane],
    )
}

/// Every channel's moments.
pub(in super::super) fn moments(layout: Extents, x: &[f32]) -> Vec<Moments> {
    // Differences from one of the values keep their digits where the mean is large.
    let origin = |channel: usize| widened(halves(x).get(channel).copied().unwrap_or_default());
    let sums = layout.sum_values(
        [x],
        &Lanes::new(layout, |channel| [origin(channel)]),
        #[inline(always)]
        |[x], [origin]| [x - origin, (x - origin) * (x - origin)],
    );
    let count = layout.count() as f64;
    let each = sums.into_iter().enumerate();
    each.map(|(channel, [sum, squares])| Moments::of_sums(origin(channel), sum, squares, count)).collect()
}

/// Normalises every channel, and returns its moments.
pub(in super::super) fn normalize(
    layout: Extents,
    op: &Forward<'_>,
    given: Option<&[Moments]>,
    y: &mut [MaybeUninit<f32>],
) -> Vec<Moments> {
    let moments = given.map_or_else(|| moments(layout, op.x), <[_]>::to_vec);
    let lanes = Lanes::new(layout, |c| {
        let Terms { mean, factor, shift } = op.terms(c, &moments[c]);
        [mean, factor, shift]
    });
    let part = layout.part_words();
    y.par_chunks_mut(part).enumerate().for_each(|(i, y)| {
        vectorized(
            #[inline(always)]
            || {
                let x = &op.x[i * part..][..y.len()];
                match op.residual.map(|residual| &residual[i * part..][..y.len()]) {
                    Some(residual) => normalize_part(
                        [x, residual],
                        &lanes,
                        #[inline(always)]
                        |[x, residual], terms| at_least(op.floor, terms.normalized(x) + residual),
                        y,
                    ),
                    None => normalize_part(
                        [x],
                        &lanes,
                        #[inline(always)]
                        |[x], terms| at_least(op.floor, terms.normalized(x)),
                        y,
                    ),
                }
            },
        );
    });
    moments
}

#[inline(always)]
fn normalize_part<const N: usize>(
    slices: [&[f32]; N],
    lanes: &Lanes<3>,
    each: impl Fn([f32; N], Terms) -> f32,
    y: &mut [MaybeUninit<f32>],
) {
    for (i, numbers) in (0..y.len().div_ceil(LANES)).zip(lanes.0.iter().cycle()) {
        let values = chunks(slices, i);
        let mut results = [[0.0; LANES]; 2];
        for (half, results) in results.iter_mut().enumerate() {
            for (lane, result) in results.iter_mut().enumerate() {
                *result = each(at(&values, half, lane), terms(at(numbers, half, lane)));
            }
        }
        put(y, i, &results, MaybeUninit::new);
    }
}

#[inline(always)]
fn terms([mean, factor, shift]: [f32; 3]) -> Terms {
    Terms { mean, factor, shift }
}

/// Every channel's sums.
pub(in super::super) fn gradient_sums(layout: Extents, op: &Backward<'_>, grad: &[f32]) -> Vec<GradientSums> {
    let lanes = Lanes::new(layout, |c| {
        let Terms { mean, factor, shift } = op.forward_terms(c);
        [mean, factor, shift]
    });
    let sums = match op.mask {
        Mask::Open => layout.sum_values(
            [grad, op.x],
            &lanes,
            #[inline(always)]
            |[grad, x], [mean, _, _]| [grad, grad * (x - mean)],
        ),
        Mask::Output(y) => layout.sum_values(
            [grad, op.x, y],
            &lanes,
            #[inline(always)]
            |[grad, x, y], [mean, _, _]| {
                let grad = passed(grad, y > 0.0);
                [grad, grad * (x - mean)]
            },
        ),
        Mask::Input => layout.sum_values(
            [grad, op.x],
            &lanes,
            #[inline(always)]
            |[grad, x], numbers| {
                let grad = passed(grad, terms(numbers).normalized(x) > 0.0);
                [grad, grad * (x - numbers[0])]
            },
        ),
    };
    sums.into_iter().map(|[plain, centred]| GradientSums { plain, centred }).collect()
}

/// Turns `dL/dy` into `dL/dx`, and adds to the residual's gradient.
pub(in super::super) fn differentiate(
    layout: Extents,
    op: &Backward<'_>,
    terms: &[GradientTerms],
    grad: &mut [f32],
    residual: Option<&mut [f32]>,
) {
    let lanes = Lanes::new(layout, |c| {
        let (Terms { mean, factor, shift }, of_gradient) = (op.forward_terms(c), terms[c]);
        [mean, factor, shift, of_gradient.factor, of_gradient.slope, of_gradient.offset]
    });
    let part = layout.part_words();
    let residual: Vec<Option<&mut [f32]>> = match residual {
        Some(residual) => residual.chunks_mut(part).map(Some).collect(),
        None => grad.chunks(part).map(|_| None).collect(),
    };
    grad.par_chunks_mut(part).zip(residual).enumerate().for_each(|(i, (grad, residual))| {
        vectorized(
            #[inline(always)]
            || {
                let x = &op.x[i * part..][..grad.len()];
                match op.mask {
                    Mask::Open => differentiate_part(
                        [x, x],
                        &lanes,
                        #[inline(always)]
                        |_, _| true,
                        grad,
                        residual,
                    ),
                    Mask::Output(y) => differentiate_part(
                        [x, &y[i * part..][..grad.len()]],
                        &lanes,
                        #[inline(always)]
                        |y, _| y > 0.0,
                        grad,
                        residual,
                    ),
                    Mask::Input => differentiate_part(
                        [x, x],
                        &lanes,
                        #[inline(always)]
                        |x, terms| terms.normalized(x) > 0.0,
                        grad,
                        residual,
                    ),
                }
            },
        );
    });
}

/// `x`, and what `is_open` asks, with the numbers of the forward pass, whether the activation let a gradient through.
#[inline(always)]
fn differentiate_part(
    [x, mask]: [&[f32]; 2],
    lanes: &Lanes<6>,
    is_open: impl Fn(f32, Terms) -> bool,
    grad: &mut [f32],
    mut residual: Option<&mut [f32]>,
) {
    for (i, numbers) in (0..grad.len().div_ceil(LANES)).zip(lanes.0.iter().cycle()) {
        let [x, mask, mut gradient] = chunks([x, mask, grad], i);
        let mut let_through = [[0.0; LANES]; 2];
        for half in 0..2 {
            for lane in 0..LANES {
                let [mean, factor, shift, slopes @ ..] = at(numbers, half, lane);
                let is_open = is_open(mask[half][lane], Terms { mean, factor, shift });
                let passed = passed(gradient[half][lane], is_open);
                let [factor, slope, offset] = slopes;
                let_through[half][lane] = passed;
                gradient[half][lane] =
                    GradientTerms { mean, factor, slope, offset }.input_gradient(passed, x[half][lane]);
            }
        }
        put(grad, i, &gradient, std::convert::identity);
        if let Some(residual) = residual.as_mut() {
            let mut sums = chunk(residual, i);
            add(&let_through, &mut sums);
            put(residual, i, &sums, std::convert::identity);
        }
    }
}
