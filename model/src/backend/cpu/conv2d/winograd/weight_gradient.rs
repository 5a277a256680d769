//! `dW += dy windows(x)^T` by F(3x3, 4x4): `dW = G^T [sum over tiles of (A dy A^T) . (B^T d B)] G`, for each place a
//! product whose summed index is the tile.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::blocks::{Block, PLACES, Places, SIDE};
use super::patches::{PaddedRows, transform_images};
use super::suits;
use super::transforms::{LANES, Steps, filter_gradients, output_gradients, patch, transform};
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::put_values;
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply};
use crate::backend::cpu::{sized, vectorized};

/// Outputs whose sums are made together, where the weight is too large for many partial sums.
const OUTPUTS: usize = 64;
/// Partial sums over images: at most this many, and at most this many values together unless there is only one.
const MAX_PARTS: usize = 8;
const MAX_PART_VALUES: usize = 5 << 20;
/// Values of a filter.
const TAPS: usize = 9;

/// The gradient of a convolution's weight.
pub(in super::super) struct WinogradWeightGradient<'a> {
    g: Conv2dGeometry,
    x: &'a [f32],
    grad_y: &'a [f32],
}

/// A block of tiles, and the images that it is cut from.
type Piece = (Range<usize>, Block);

impl<'a> WinogradWeightGradient<'a> {
    /// `None` if the sizes don't suit.
    pub(in super::super) fn new(g: &Conv2dGeometry, x: &'a [f32], grad_y: &'a [f32]) -> Option<Self> {
        suits(g).then_some(Self { g: *g, x, grad_y })
    }

    /// Adds `dL/dw`, in a number of parts that the shapes give.
    pub(in super::super) fn add<K: Kernel>(&self, kernel: K, grad_weight: &mut [f32]) {
        let g = &self.g;
        let images = self.x.len() / g.in_len();
        let all = Places::new(g.out_channels, g.in_channels);
        // Where there are few patches all are transformed first, else by the threads that sum over them.
        let mut patches: Vec<Vec<f32>> = Vec::new();
        let mut parts = 1;
        if Block::whole(g.in_size, images).tiles() <= g.in_channels {
            let pieces: Vec<Piece> = self.pieces(0..images).collect();
            let transformed = pieces.par_iter().map(|piece| {
                let mut patches = Vec::new();
                SCRATCH.with_borrow_mut(|scratch| {
                    self.transform_patches(piece, &mut scratch.frame, &mut patches);
                });
                patches
            });
            patches = transformed.collect();
        } else {
            parts = images.min(MAX_PARTS).min((MAX_PART_VALUES / all.len()).max(1));
        }
        let part = images.div_ceil(parts).max(1);
        let outputs = if parts < MAX_PARTS { OUTPUTS.min(g.out_channels) } else { g.out_channels };
        grad_weight.par_chunks_mut(outputs * g.window_len()).enumerate().for_each(|(i, grad)| {
            let outputs = i * outputs..g.out_channels.min((i + 1) * outputs);
            let sums: Vec<Vec<f32>> = (0..images)
                .into_par_iter()
                .step_by(part)
                .map(|first| self.sums(kernel, first..images.min(first + part), outputs.clone(), &patches))
                .collect();
            vectorized(
                #[inline(always)]
                || add_filters(&sums, Places::new(outputs.len(), g.in_channels), g.in_channels, grad),
            );
        });
    }

    /// The blocks of some images.
    fn pieces(&self, images: Range<usize>) -> impl Iterator<Item = Piece> {
        let (size, step) = (self.g.in_size, Block::images_of_one(self.g.in_size));
        let groups = images.clone().step_by(step).map(move |first| first..images.end.min(first + step));
        groups.flat_map(move |images| {
            Block::whole(size, images.len()).split().map(move |block| (images.clone(), block))
        })
    }

    fn transform_patches(&self, (images, block): &Piece, frame: &mut PaddedRows, patches: &mut Vec<f32>) {
        let channels = self.g.in_channels;
        let patches = sized(patches, Places::new(block.tiles(), channels).len());
        let x = &self.x[images.start * self.g.in_len()..images.end * self.g.in_len()];
        vectorized(
            #[inline(always)]
            || transform_images(block, channels, 0..channels, patch, x, frame, patches),
        );
    }

    /// `place x output x input`, summed over some images.
    fn sums<K: Kernel>(
        &self,
        kernel: K,
        images: Range<usize>,
        outputs: Range<usize>,
        transformed: &[Vec<f32>],
    ) -> Vec<f32> {
        let g = &self.g;
        let mut sums = vec![0.0; Places::new(outputs.len(), g.in_channels).len()];
        SCRATCH.with_borrow_mut(|Scratch { frame, grad_frame, patches, gradients }| {
            for (i, piece) in self.pieces(images).enumerate() {
                let (images, block) = &piece;
                let gradients = sized(gradients, Places::new(block.tiles(), outputs.len()).len());
                let grad_y = &self.grad_y[images.start * g.out_len()..images.end * g.out_len()];
                vectorized(
                    #[inline(always)]
                    || {
                        let channels = outputs.clone();
                        transform_images(
                            block,
                            g.out_channels,
                            channels,
                            output_gradients,
                            grad_y,
                            grad_frame,
                            gradients,
                        );
                    },
                );
                let patches = match transformed.get(i) {
                    Some(patches) => patches,
                    None => {
                        self.transform_patches(&piece, frame, patches);
                        &*patches
                    }
                };
                add_products(
                    kernel,
                    block.tiles(),
                    gradients,
                    outputs.len(),
                    patches,
                    g.in_channels,
                    &mut sums,
                );
            }
        });
        sums
    }
}

/// Adds the products of a block's tiles, place after place.
fn add_products<K: Kernel>(
    kernel: K,
    tiles: usize,
    gradients: &[f32],
    outputs: usize,
    patches: &[f32],
    inputs: usize,
    sums: &mut [f32],
) {
    let (left, right) = (Places::new(tiles, outputs), Places::new(tiles, inputs));
    let to = Places::new(outputs, inputs);
    let offsets: Vec<u32> = (0..tiles).map(|tile| (tile * right.width) as u32).collect();
    let mut tile_sums = Sums::new();
    for place in 0..PLACES {
        let (gradients, patches) = (&gradients[left.at(place)..], &patches[right.at(place)..]);
        let sums = &mut sums[to.at(place)..];
        let mut first = 0;
        for depth in Depth::blocks(&offsets) {
            for column in (0..right.width).step_by(K::COLUMNS) {
                let width = K::COLUMNS.min(right.width - column);
                let starts: [usize; VECTORS] = std::array::from_fn(|v| column + v * K::LANES);
                for output in (0..outputs).step_by(K::ROWS) {
                    let rows = Rows {
                        values: &gradients[first * left.width + output..],
                        count: (outputs - output).min(K::ROWS),
                        stride: 1,
                        step: left.width,
                    };
                    multiply(kernel, rows, patches, &starts[..width / K::LANES], depth, &mut tile_sums);
                    vectorized(
                        #[inline(always)]
                        || {
                            for (r, found) in
                                tile_sums.0.chunks_exact(K::COLUMNS).take(rows.count).enumerate()
                            {
                                let to = &mut sums[(output + r) * to.width + column..];
                                put_values(to, &found[..width], Store::Add);
                            }
                        },
                    );
                }
            }
            first += depth.len();
        }
    }
}

/// Transforms the parts' sums back and adds them, part after part, to `output x input x tap`.
#[inline(always)]
fn add_filters(parts: &[Vec<f32>], places: Places, inputs: usize, grad: &mut [f32]) {
    let steps = Steps { row: SIDE * LANES, column: LANES };
    let mut sums = [0.0f32; PLACES * LANES];
    let mut filters = [0.0f32; TAPS * LANES];
    for (output, grad) in grad.chunks_exact_mut(inputs * TAPS).enumerate() {
        for (group, grad) in grad.chunks_mut(LANES * TAPS).enumerate() {
            sums.fill(0.0);
            for part in parts {
                for (place, sums) in sums.chunks_exact_mut(LANES).enumerate() {
                    let at = places.at(place) + output * places.width + group * LANES;
                    sums.iter_mut().zip(&part[at..][..LANES]).for_each(|(sum, value)| *sum += value);
                }
            }
            transform(
                filter_gradients,
                (&sums, steps),
                (&mut filters, Steps { row: 3 * LANES, column: LANES }),
            );
            for (lane, grad) in grad.chunks_exact_mut(TAPS).enumerate() {
                for (tap, grad) in grad.iter_mut().enumerate() {
                    *grad += filters[tap * LANES + lane];
                }
            }
        }
    }
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    /// Of the input and of the output's gradient, for their zeros differ.
    frame: PaddedRows,
    grad_frame: PaddedRows,
    patches: Vec<f32>,
    gradients: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
