//! 3x3 convolution with stride 1 by Winograd's minimal filtering F(2x2, 3x3): four outputs take 16 multiplications a
//! channel instead of 36 (Lavin & Gray 2015, section 4.1).
//!
//! `Y = A^T [(G g G^T) . (B^T d B)] A` for each 4x4 patch `d`; the products over channels become one matrix product for
//! each of the 16 places of a patch. The sums differ from the direct ones by a few roundings.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::frame::{Frame, Layout};
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::{as_uninit, put};
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply};
use crate::backend::cpu::vectorized;

/// Places of a patch.
const PLACES: usize = 16;
/// With fewer channels the transforms take more time than they save, with more the transformed filters don't stay in
/// the caches.
const CHANNELS: std::ops::RangeInclusive<usize> = 48..=256;
/// Patches in a row, at most.
const MAX_COLUMNS: usize = 128;
/// Transformed values that stay in the second cache.
const BLOCK_VALUES: usize = 1 << 17;
/// Patches that share a pass over the filters, at least.
const MIN_PATCHES: usize = 48;

/// A convolution of images with filters, the filters transformed.
pub(super) struct Winograd {
    inputs: usize,
    outputs: usize,
    size: usize,
    /// `place x outputs x inputs`.
    filters: Vec<f32>,
}

impl Winograd {
    /// `x -> w * x`, if the sizes suit.
    pub(super) fn forward(g: &Conv2dGeometry, weight: &[f32]) -> Option<Self> {
        let filter = |output: usize, input: usize| -> [f32; 9] {
            std::array::from_fn(|tap| weight[output * g.window_len() + input * 9 + tap])
        };
        Self::suits(g).then(|| Self::new(g.in_channels, g.out_channels, g.in_size, filter))
    }

    /// `dy -> dx`: filters turned by 180 degrees, inputs and outputs exchanged.
    pub(super) fn backward(g: &Conv2dGeometry, weight: &[f32]) -> Option<Self> {
        let filter = |output: usize, input: usize| -> [f32; 9] {
            std::array::from_fn(|tap| weight[input * g.window_len() + output * 9 + 8 - tap])
        };
        Self::suits(g).then(|| Self::new(g.out_channels, g.in_channels, g.in_size, filter))
    }

    fn suits(g: &Conv2dGeometry) -> bool {
        (g.kernel, g.stride, g.pad) == (3, 1, 1)
            && g.in_size.is_multiple_of(2)
            && g.in_size / 2 <= MAX_COLUMNS
            && CHANNELS.contains(&g.in_channels)
            && CHANNELS.contains(&g.out_channels)
    }

    fn new(inputs: usize, outputs: usize, size: usize, filter: impl Fn(usize, usize) -> [f32; 9]) -> Self {
        let mut filters = vec![0.0; PLACES * outputs * inputs];
        for output in 0..outputs {
            for input in 0..inputs {
                let at = output * inputs + input;
                for (place, value) in transform_filter(filter(output, input)).into_iter().enumerate() {
                    filters[place * outputs * inputs + at] = value;
                }
            }
        }
        Self { inputs, outputs, size, filters }
    }

    /// Reads images from `x` and writes all results.
    pub(super) fn overwrite<K: Kernel>(&self, kernel: K, x: &[f32], y: &mut [MaybeUninit<f32>]) {
        // SAFETY: `Overwrite` asks nothing of `y`.
        unsafe { self.apply(kernel, x, Store::Overwrite, y) }
    }

    /// Reads images from `x` and adds the results.
    pub(super) fn add<K: Kernel>(&self, kernel: K, x: &[f32], y: &mut [f32]) {
        // SAFETY: the slice's values are initialised.
        unsafe { self.apply(kernel, x, Store::Add, as_uninit(y)) }
    }

    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn apply<K: Kernel>(&self, kernel: K, x: &[f32], store: Store, y: &mut [MaybeUninit<f32>]) {
        let plane = self.size * self.size;
        let patches = plane / 4;
        let fitting = (BLOCK_VALUES / (PLACES * self.inputs.max(self.outputs))).max(MIN_PATCHES);
        let images = x.len() / (self.inputs * plane);
        let group = (fitting / patches).min(images / 4).max(1);
        let parts =
            y.par_chunks_mut(group * self.outputs * plane).zip(x.par_chunks(group * self.inputs * plane));
        parts.for_each(|(y, x)| {
            // SAFETY: as the caller promises.
            SCRATCH.with_borrow_mut(|scratch| unsafe {
                self.apply_group(kernel, x, store, y, fitting, scratch)
            });
        });
    }

    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn apply_group<K: Kernel>(
        &self,
        kernel: K,
        x: &[f32],
        store: Store,
        y: &mut [MaybeUninit<f32>],
        fitting: usize,
        scratch: &mut Scratch,
    ) {
        let columns = self.size / 2;
        let images = x.len() / (self.inputs * self.size * self.size);
        let frame = Frame {
            images,
            channels: self.inputs,
            height: self.size,
            width: self.size,
            before: 1,
            rows: self.size + 2,
            columns,
            stride: 2,
            shifts: (0, 4),
            layout: Layout::Shifted,
        };
        let Scratch { values, row, patches, products } = scratch;
        values.resize(values.len().max(frame.len()), 0.0);
        vectorized(
            #[inline(always)]
            || frame.fill(x, row, values),
        );

        // Some rows of patches of every image at a time.
        let rows = (fitting / (images * columns)).clamp(1, columns);
        for first in (0..columns).step_by(rows) {
            let rows = rows.min(columns - first);
            let count = images * rows * columns;
            // A vector may reach beyond the last patch.
            let padded = count.next_multiple_of(K::LANES);
            patches.resize(patches.len().max(PLACES * self.inputs * padded), 0.0);
            products.resize(products.len().max(PLACES * self.outputs * padded), 0.0);
            vectorized(
                #[inline(always)]
                || self.transform_inputs(&frame, values, first, rows, padded, patches),
            );
            self.multiply(kernel, patches, padded, products);
            vectorized(
                #[inline(always)]
                // SAFETY: as the caller promises.
                || unsafe { self.transform_outputs(products, first, rows, padded, store, y, row) },
            );
        }
    }

    /// `place x inputs x patches`, from the frame's runs.
    #[inline(always)]
    fn transform_inputs(
        &self,
        frame: &Frame,
        values: &[f32],
        first: usize,
        rows: usize,
        padded: usize,
        patches: &mut [f32],
    ) {
        let run = rows * frame.columns;
        let place_len = self.inputs * padded;
        for image in 0..frame.images {
            for channel in 0..self.inputs {
                let pixels: [[&[f32]; 4]; 4] = std::array::from_fn(|i| {
                    std::array::from_fn(|j| {
                        let at = frame.at(image, j, channel, i) + first * frame.columns;
                        &values[at..][..run]
                    })
                });
                let mut places = patches.chunks_exact_mut(place_len);
                let mut places: [&mut [f32]; PLACES] = std::array::from_fn(|_| {
                    let place = places.next().expect("there are 16 places");
                    &mut place[channel * padded + image * run..][..run]
                });
                for (i, places) in places.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    // One row of B^T d, then its four places.
                    let (a, b, sign) = [(0, 2, -1.0f32), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)][i];
                    let (above, below) = (pixels[a], pixels[b]);
                    let [p0, p1, p2, p3] = places;
                    for t in 0..run {
                        let d0 = above[0][t] + sign * below[0][t];
                        let d1 = above[1][t] + sign * below[1][t];
                        let d2 = above[2][t] + sign * below[2][t];
                        let d3 = above[3][t] + sign * below[3][t];
                        p0[t] = d0 - d2;
                        p1[t] = d1 + d2;
                        p2[t] = d2 - d1;
                        p3[t] = d1 - d3;
                    }
                }
            }
        }
    }

    /// `place x outputs x patches`.
    fn multiply<K: Kernel>(&self, kernel: K, patches: &[f32], padded: usize, products: &mut [f32]) {
        let offsets: Vec<u32> = (0..self.inputs).map(|c| (c * padded) as u32).collect();
        let depth = Depth::new(&offsets);
        let mut sums = Sums::new();
        for place in 0..PLACES {
            let filters = &self.filters[place * self.outputs * self.inputs..];
            let patches = &patches[place * self.inputs * padded..][..self.inputs * padded];
            let products = &mut products[place * self.outputs * padded..][..self.outputs * padded];
            for output in (0..self.outputs).step_by(K::ROWS) {
                let rows = Rows {
                    values: &filters[output * self.inputs..],
                    count: (self.outputs - output).min(K::ROWS),
                    stride: self.inputs,
                    step: 1,
                };
                for column in (0..padded).step_by(K::COLUMNS) {
                    let width = K::COLUMNS.min(padded - column);
                    let starts: [usize; VECTORS] = std::array::from_fn(|v| column + v * K::LANES);
                    multiply(kernel, rows, patches, &starts[..width / K::LANES], depth, &mut sums);
                    vectorized(
                        #[inline(always)]
                        || {
                            for (r, sums) in sums.0.chunks_exact(K::COLUMNS).take(rows.count).enumerate() {
                                let to = &mut products[(output + r) * padded + column..];
                                // SAFETY: `Overwrite` asks nothing of the places.
                                unsafe { put(as_uninit(to), 1, &sums[..width], Store::Overwrite) }
                            }
                        },
                    );
                }
            }
        }
    }

    /// From `place x outputs x patches` to pixels.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the products, their place, and where they go")]
    unsafe fn transform_outputs(
        &self,
        products: &[f32],
        first: usize,
        rows: usize,
        padded: usize,
        store: Store,
        y: &mut [MaybeUninit<f32>],
        pixels: &mut Vec<f32>,
    ) {
        let mut line = [[0.0f32; 2]; MAX_COLUMNS];
        let columns = self.size / 2;
        let run = rows * columns;
        let place_len = self.outputs * padded;
        pixels.resize(4 * run, 0.0);
        for (i, plane) in y.chunks_exact_mut(self.size * self.size).enumerate() {
            let (image, output) = (i / self.outputs, i % self.outputs);
            let at = output * padded + image * run;
            let place = |place: usize| &products[place * place_len + at..][..run];
            // A row of A^T m, then its two pixels.
            for (half, [a, b, c], sign) in [(0, [0, 4, 8], 1.0f32), (1, [4, 8, 12], -1.0)] {
                let [a, b, c] = [a, b, c].map(|row| [0, 1, 2, 3].map(|j| place(row + j)));
                let (left, right) = pixels[2 * half * run..][..2 * run].split_at_mut(run);
                for t in 0..run {
                    let m = [0, 1, 2, 3].map(|j| a[j][t] + sign * b[j][t] + sign * c[j][t]);
                    left[t] = m[0] + m[1] + m[2];
                    right[t] = m[1] - m[2] - m[3];
                }
                for row in 0..rows {
                    let (left, right) =
                        (&left[row * columns..][..columns], &right[row * columns..][..columns]);
                    let pairs = line[..columns].iter_mut().zip(left.iter().zip(right));
                    for (pair, (left, right)) in pairs {
                        *pair = [*left, *right];
                    }
                    let to = &mut plane[(2 * (first + row) + half) * self.size..];
                    // SAFETY: as the caller promises.
                    unsafe { put(to, 1, line[..columns].as_flattened(), store) }
                }
            }
        }
    }
}

/// `G g G^T`.
fn transform_filter(g: [f32; 9]) -> [f32; PLACES] {
    let line = |[a, b, c]: [f32; 3]| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
    let columns: [[f32; 4]; 3] = std::array::from_fn(|j| line([g[j], g[3 + j], g[6 + j]]));
    let rows: [[f32; 4]; 4] = std::array::from_fn(|i| line([columns[0][i], columns[1][i], columns[2][i]]));
    std::array::from_fn(|place| rows[place / 4][place % 4])
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    values: Vec<f32>,
    row: Vec<f32>,
    patches: Vec<f32>,
    products: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
