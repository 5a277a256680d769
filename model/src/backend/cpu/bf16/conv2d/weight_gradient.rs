//! `dW += dy windows(x)^T`: the summed index is the pixel. The padded pixels of some images are one long row for each channel of
//! `x`, in which a filter's tap is a shift; `dy` lies on the same places, with zeros between.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::super::pair;
use super::super::tiles::{Engine, Left, SIDE, STEP, TILE, multiply};
use super::pixel;
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::transpose::transpose;
use crate::backend::cpu::{sized, vectorized};

/// Padded pixels that are summed in one go, where one image has fewer, and halves of them in all channels, at most.
const PIXELS: usize = 1024;
const ROW_HALVES: usize = 1 << 19;
/// Partial sums over images: at most this many, at most this many values together unless there is only one, and of so many
/// steps of depth at least, for partial sums are added up in turn.
const MAX_PARTS: usize = 16;
const MAX_PART_VALUES: usize = 1 << 21;
const MIN_STEPS: usize = 32;
/// Outputs of a part of the work, where there are fewer parts of images.
const PART_OUTPUTS: usize = 64;

/// Adds `dL/dw`, in a number of parts that the shapes give.
pub(super) fn weight_gradient(
    engine: Engine,
    g: &Conv2dGeometry,
    x: &[u16],
    grad_y: &[u16],
    grad_weight: &mut [f32],
) {
    let places = Places::of(g);
    let (in_image, out_image) =
        (pixel(g.in_channels) * g.in_size.pow(2), pixel(g.out_channels) * g.out_size.pow(2));
    let images = x.len() / in_image;
    let long_enough = images * places.plane() / (MIN_STEPS * STEP);
    let parts = images.min(MAX_PARTS).min(long_enough).min(MAX_PART_VALUES / g.weight_len()).max(1);
    let part = images.div_ceil(parts).max(1);
    let outputs = if parts < MAX_PARTS { PART_OUTPUTS } else { g.out_channels };
    let blocks = g.out_channels.div_ceil(outputs);

    // Each `tap x input x output`, of some outputs.
    let sums: Vec<Vec<f32>> = (0..parts * blocks)
        .into_par_iter()
        .map(|i| {
            let (images_from, first) = ((i / blocks * part).min(images), i % blocks * outputs);
            let images = images_from..(images_from + part).min(images);
            let x = &x[images.start * in_image..images.end * in_image];
            let grad_y = &grad_y[images.start * out_image..images.end * out_image];
            let outputs = outputs.min(g.out_channels - first);
            let mut sums = vec![0.0; g.window_len() * outputs];
            SCRATCH.with_borrow_mut(|scratch| {
                let group = places.images();
                for (x, grad_y) in x.chunks(group * in_image).zip(grad_y.chunks(group * out_image)) {
                    places.add(engine, x, grad_y, first..first + outputs, &mut sums, scratch);
                }
            });
            sums
        })
        .collect();

    let taps = g.kernel * g.kernel;
    grad_weight.par_chunks_mut(SIDE * g.window_len()).enumerate().for_each(|(tile, grad)| {
        let block = tile * SIDE / outputs;
        let column = tile * SIDE - block * outputs;
        let width = outputs.min(g.out_channels - block * outputs);
        let sums: Vec<&[f32]> = sums.iter().skip(block).step_by(blocks).map(|sums| &sums[column..]).collect();
        let kept = SIDE.min(width - column);
        for i in 0..taps * g.in_channels {
            let mut totals = [0.0; SIDE];
            for sums in &sums {
                totals.iter_mut().zip(&sums[i * width..][..kept]).for_each(|(total, sum)| *total += sum);
            }
            let (tap, input) = (i / g.in_channels, i % g.in_channels);
            let to = grad[input * taps + tap..].iter_mut().step_by(g.window_len());
            to.zip(totals).for_each(|(to, total)| *to += total);
        }
    });
}

/// Where padded pixels lie. With a stride, those of each residue of rows and columns are images of their own.
struct Places<'a> {
    g: &'a Conv2dGeometry,
    /// Residues along an axis.
    residues: usize,
    /// Rows and columns of an image; the columns are even, so that no pair of pixels is in two rows.
    rows: usize,
    columns: usize,
}

impl<'a> Places<'a> {
    fn of(g: &'a Conv2dGeometry) -> Self {
        let side = g.out_size + (g.kernel - 1) / g.stride;
        Self { g, residues: g.kernel.min(g.stride), rows: side, columns: side.next_multiple_of(2) }
    }

    fn plane(&self) -> usize {
        self.rows * self.columns
    }

    /// Images whose pixels are summed in one go.
    fn images(&self) -> usize {
        let halves = self.plane() * self.residues.pow(2) * self.g.in_channels;
        (PIXELS / self.plane()).min(ROW_HALVES / halves.max(1)).max(1)
    }

    fn add(
        &self,
        engine: Engine,
        x: &[u16],
        grad_y: &[u16],
        outputs: Range<usize>,
        sums: &mut [f32],
        Scratch { rows, panels, pairs }: &mut Scratch,
    ) {
        let g = self.g;
        let images = x.len() / (pixel(g.in_channels) * g.in_size.pow(2));
        let steps = (images * self.plane()).div_ceil(STEP);
        let shift = |[ky, kx]: [usize; 2]| ky / g.stride * self.columns + kx / g.stride;
        // With room for the largest shift; an odd number of cache lines, lest channels share cache sets.
        let row = ((steps + shift([g.kernel - 1; 2]).div_ceil(STEP) + 1) | 1) * STEP;
        let inputs = g.in_channels.next_multiple_of(SIDE);
        let rows = sized(rows, self.residues.pow(2) * inputs * row);
        let panels = sized(panels, outputs.len().div_ceil(SIDE) * steps * TILE);
        let pairs = sized(pairs, g.in_channels * SIDE);
        vectorized(
            #[inline(always)]
            || {
                for (residue, rows) in rows.chunks_exact_mut(inputs * row).enumerate() {
                    self.fill_rows([residue / self.residues, residue % self.residues], x, row, rows, pairs);
                }
                self.fill_panels(grad_y, &outputs, panels, steps);
            },
        );

        let taps: Vec<[usize; 2]> =
            (0..g.kernel).flat_map(|ky| (0..g.kernel).map(move |kx| [ky, kx])).collect();
        let start = |[ky, kx]: [usize; 2], input: usize| {
            let residue = ky % g.stride * self.residues + kx % g.stride;
            (residue * inputs + input) * row + shift([ky, kx])
        };
        let tiles = inputs / SIDE;
        let starts: Vec<usize> =
            taps.iter().flat_map(|tap| (0..tiles).map(|tile| start(*tap, tile * SIDE))).collect();
        let offsets: Vec<u32> = (0..steps).map(|step| (step * STEP) as u32).collect();
        let left = Left { halves: rows, starts: &starts, row, offsets: &offsets };
        multiply(engine, &left, panels, |tile, column, found| {
            let (tap, input) = (tile / tiles, tile % tiles * SIDE);
            let width = found.len() / SIDE;
            for (r, found) in found.chunks_exact(width).take(g.in_channels - input).enumerate() {
                let at = (tap * g.in_channels + input + r) * outputs.len() + column;
                let to = sums[at..].iter_mut().zip(&found[..width.min(outputs.len() - column)]);
                to.for_each(|(to, found)| *to += found);
            }
        });
    }

    /// The pixels of `x` of a residue, a channel a row, `row` halves apart.
    #[inline(always)]
    fn fill_rows(&self, [top, left]: [usize; 2], x: &[u16], row: usize, rows: &mut [u16], pairs: &mut [f32]) {
        let g = self.g;
        let (channels, pixel, size) = (g.in_channels, pixel(g.in_channels), g.in_size);
        let words: &mut [f32] = bytemuck::cast_slice_mut(rows);
        let inside = |at: usize| at.checked_sub(g.pad).filter(|at| *at < size);
        let zeros = &vec![0; channels][..];
        // Pairs that are in `pairs`, and those that were transposed.
        let (mut waiting, mut done) = (0, 0);
        for x in x.chunks_exact(pixel * size * size) {
            for i in 0..self.rows {
                let line = inside(i * g.stride + top).map(|y| &x[y * size * pixel..][..size * pixel]);
                let at = |j: usize| match (line, inside(j * g.stride + left)) {
                    (Some(line), Some(column)) => &line[column * pixel..][..channels],
                    _ => zeros,
                };
                for j in (0..self.columns).step_by(2) {
                    interleave(at(j), at(j + 1), &mut pairs[waiting * channels..][..channels]);
                    waiting += 1;
                    if waiting == SIDE {
                        transpose(pairs, channels, SIDE, channels, &mut words[done..], row / 2);
                        (waiting, done) = (0, done + SIDE);
                    }
                }
            }
        }
        transpose(pairs, channels, waiting, channels, &mut words[done..], row / 2);
        words.chunks_exact_mut(row / 2).for_each(|row| row[done + waiting..].fill(0.0));
    }

    /// Right factors of some outputs' gradients.
    #[inline(always)]
    fn fill_panels(&self, grad_y: &[u16], outputs: &Range<usize>, panels: &mut [u32], steps: usize) {
        let (pixel, size) = (pixel(self.g.out_channels), self.g.out_size);
        panels.fill(0);
        let zeros = [0; SIDE];
        for (image, grad_y) in grad_y.chunks_exact(pixel * size * size).enumerate() {
            for (y, line) in grad_y.chunks_exact(size * pixel).enumerate() {
                for x in (0..size).step_by(2) {
                    let place = (image * self.plane() + y * self.columns + x) / 2;
                    let (step, to) = (place / SIDE, place % SIDE * SIDE);
                    for (panel, first) in outputs.clone().step_by(SIDE).enumerate() {
                        let count = SIDE.min(outputs.end - first);
                        let to = &mut panels[(panel * steps + step) * TILE + to..][..count];
                        let second = if x + 1 < size {
                            &line[(x + 1) * pixel + first..][..count]
                        } else {
                            &zeros[..count]
                        };
                        interleave(&line[x * pixel + first..][..count], second, bytemuck::cast_slice_mut(to));
                    }
                }
            }
        }
    }
}

/// Pairs of the halves of two pixels.
#[inline(always)]
fn interleave(first: &[u16], second: &[u16], to: &mut [f32]) {
    for (to, (first, second)) in to.iter_mut().zip(first.iter().zip(second)) {
        *to = f32::from_bits(pair(*first, *second));
    }
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    rows: Vec<u16>,
    panels: Vec<u32>,
    pairs: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
