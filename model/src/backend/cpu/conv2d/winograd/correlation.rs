//! `y = w * x` and `dx += w^T * dy`: a product over channels for each place of the transformed patches.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::filters::{Filters, PANEL};
use super::patches::{Block, PLACES, Places, transform_back, transform_images};
use super::transforms::{outputs, patch};
use super::{sized, suits};
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::{as_uninit, put};
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply};
use crate::backend::cpu::vectorized;

/// Channels that are summed in one chain. With longer chains their rounding, which the transforms back magnify, is most
/// of the error; with these the results are as exact as the direct ones.
const CHAIN: usize = 32;

/// A convolution of images with filters.
pub(in super::super) struct Winograd<'w> {
    size: usize,
    filters: Filters<'w>,
}

impl<'w> Winograd<'w> {
    /// `x -> w * x`, if the sizes suit.
    pub(in super::super) fn forward(g: &Conv2dGeometry, weight: &'w [f32]) -> Option<Self> {
        suits(g).then(|| Self { size: g.in_size, filters: Filters::forward(g, weight) })
    }

    /// `dy -> dx`, if the sizes suit.
    pub(in super::super) fn backward(g: &Conv2dGeometry, weight: &'w [f32]) -> Option<Self> {
        suits(g).then(|| Self { size: g.in_size, filters: Filters::backward(g, weight) })
    }

    /// Reads images from `x` and writes all results.
    pub(in super::super) fn overwrite<K: Kernel>(&self, kernel: K, x: &[f32], y: &mut [MaybeUninit<f32>]) {
        // SAFETY: `Overwrite` asks nothing of `y`.
        unsafe { self.apply(kernel, x, Store::Overwrite, y) }
    }

    /// Reads images from `x` and adds the results.
    pub(in super::super) fn add<K: Kernel>(&self, kernel: K, x: &[f32], y: &mut [f32]) {
        // SAFETY: the slice's values are initialised.
        unsafe { self.apply(kernel, x, Store::Add, as_uninit(y)) }
    }

    fn in_len(&self) -> usize {
        self.filters.inputs * self.size * self.size
    }

    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn apply<K: Kernel>(&self, kernel: K, x: &[f32], store: Store, y: &mut [MaybeUninit<f32>]) {
        let images = x.len() / self.in_len();
        // SAFETY: as the caller promises.
        unsafe {
            if Block::whole(self.size, images).tiles() <= self.filters.inputs {
                self.panel_by_panel(kernel, x, store, y);
            } else {
                self.image_by_image(kernel, x, store, y);
            }
        }
    }

    /// Many patches: all filters are transformed first, then a thread takes some images through all steps.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn image_by_image<K: Kernel>(
        &self,
        kernel: K,
        x: &[f32],
        store: Store,
        y: &mut [MaybeUninit<f32>],
    ) {
        let panels: Vec<Range<usize>> = self.filters.panels().collect();
        let panel_len = self.filters.panel_len(PANEL);
        let mut filters = vec![0.0; panels.iter().map(|outputs| self.filters.panel_len(outputs.len())).sum()];
        filters.par_chunks_mut(panel_len).zip(&panels).for_each(|(panel, outputs)| {
            vectorized(
                #[inline(always)]
                || self.filters.transform_panel(outputs.clone(), panel),
            );
        });

        let Filters { inputs, outputs, .. } = self.filters;
        let (plane, images) = (self.size * self.size, Block::images_of_one(self.size));
        let groups = y.par_chunks_mut(images * outputs * plane).zip(x.par_chunks(images * inputs * plane));
        groups.for_each(|(y, x)| {
            SCRATCH.with_borrow_mut(|Scratch { pixels, patches, products, .. }| {
                for block in Block::whole(self.size, x.len() / (inputs * plane)).split() {
                    let len = Places::new(block.tiles(), inputs).len();
                    let patches = sized(patches, len);
                    self.transform(&block, x, pixels, patches);
                    for (filters, mut y) in filters.chunks(panel_len).zip(self.split(y)) {
                        // SAFETY: as the caller promises.
                        unsafe {
                            self.finish(kernel, &block, patches, filters, store, &mut y, pixels, products)
                        }
                    }
                }
            });
        });
    }

    /// Few patches for many filters: all patches are transformed first, then a thread takes some filters through all
    /// steps.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn panel_by_panel<K: Kernel>(
        &self,
        kernel: K,
        x: &[f32],
        store: Store,
        y: &mut [MaybeUninit<f32>],
    ) {
        let (in_len, images) = (self.in_len(), Block::images_of_one(self.size));
        let parts = x.par_chunks(images * in_len).map(|x| {
            let block = Block::whole(self.size, x.len() / in_len);
            let mut patches = vec![0.0; Places::new(block.tiles(), self.filters.inputs).len()];
            SCRATCH.with_borrow_mut(|scratch| self.transform(&block, x, &mut scratch.pixels, &mut patches));
            (block, patches)
        });
        let parts: Vec<(Block, Vec<f32>)> = parts.collect();

        let panels: Vec<_> = self.filters.panels().zip(self.split(y)).collect();
        panels.into_par_iter().for_each(|(outputs, mut y)| {
            SCRATCH.with_borrow_mut(|Scratch { pixels, filters, products, .. }| {
                let len = self.filters.panel_len(outputs.len());
                let filters = sized(filters, len);
                vectorized(
                    #[inline(always)]
                    || self.filters.transform_panel(outputs, filters),
                );
                for ((block, patches), y) in parts.iter().zip(y.chunks_mut(images)) {
                    // SAFETY: as the caller promises.
                    unsafe { self.finish(kernel, block, patches, filters, store, y, pixels, products) }
                }
            });
        });
    }

    fn transform(&self, block: &Block, x: &[f32], pixels: &mut Vec<f32>, patches: &mut [f32]) {
        vectorized(
            #[inline(always)]
            || {
                transform_images(
                    block,
                    self.filters.inputs,
                    0..self.filters.inputs,
                    patch,
                    x,
                    pixels,
                    patches,
                )
            },
        );
    }

    /// The planes of each panel's outputs, image after image.
    fn split<'y>(&self, y: &'y mut [MaybeUninit<f32>]) -> Vec<Vec<&'y mut [MaybeUninit<f32>]>> {
        let plane = self.size * self.size;
        let mut panels: Vec<Vec<_>> = self.filters.panels().map(|_| Vec::new()).collect();
        for image in y.chunks_exact_mut(self.filters.outputs * plane) {
            image.chunks_mut(PANEL * plane).zip(&mut panels).for_each(|(run, panel)| panel.push(run));
        }
        panels
    }

    /// From a block's patches to the planes of a panel's outputs.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    #[allow(clippy::too_many_arguments, reason = "both factors, where the results go, and two buffers")]
    unsafe fn finish<K: Kernel>(
        &self,
        kernel: K,
        block: &Block,
        patches: &[f32],
        filters: &[f32],
        store: Store,
        y: &mut [&mut [MaybeUninit<f32>]],
        pixels: &mut Vec<f32>,
        products: &mut Vec<f32>,
    ) {
        let (inputs, tiles) = (self.filters.inputs, block.tiles());
        let right = filters.len() / (PLACES * inputs);
        let (from, to) = (Places::new(tiles, inputs), Places::new(tiles, right));
        let products = sized(products, to.len());
        let offsets: Vec<u32> = (0..inputs).map(|input| (input * right) as u32).collect();
        let mut sums = Sums::new();
        for place in 0..PLACES {
            let left = &patches[from.at(place)..];
            let products = &mut products[to.at(place)..];
            let filters = &filters[place * inputs * right..][..inputs * right];
            let mut first = 0;
            for depth in offsets.chunks(CHAIN).map(Depth::new) {
                let store = if first == 0 { Store::Overwrite } else { Store::Add };
                for (tile, column) in tiles_of::<K>(tiles, right) {
                    let rows = Rows {
                        values: &left[tile * from.width + first..],
                        count: (tiles - tile).min(K::ROWS),
                        stride: from.width,
                        step: 1,
                    };
                    let width = K::COLUMNS.min(right - column);
                    let starts: [usize; VECTORS] = std::array::from_fn(|v| column + v * K::LANES);
                    multiply(kernel, rows, filters, &starts[..width / K::LANES], depth, &mut sums);
                    vectorized(
                        #[inline(always)]
                        || {
                            for (r, sums) in sums.0.chunks_exact(K::COLUMNS).take(rows.count).enumerate() {
                                let to = &mut products[(tile + r) * to.width + column..];
                                // SAFETY: the slice's values are initialised.
                                unsafe { put(as_uninit(to), 1, &sums[..width], store) }
                            }
                        },
                    );
                }
                first += depth.len();
            }
        }
        vectorized(
            #[inline(always)]
            // SAFETY: as the caller promises.
            || unsafe { transform_back(block, outputs, products, store, y, pixels) },
        );
    }
}

/// Where the register tiles of a product begin.
fn tiles_of<K: Kernel>(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns)
        .step_by(K::COLUMNS)
        .flat_map(move |column| (0..rows).step_by(K::ROWS).map(move |row| (row, column)))
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    pixels: Vec<f32>,
    patches: Vec<f32>,
    filters: Vec<f32>,
    products: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
