//! `y = w * x` and `dx += w^T * dy`: a product over channels for each place of the transformed patches.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::blocks::{Block, PLACES, Places};
use super::filters::{Filters, PANEL};
use super::images::transform_back;
use super::patches::{PaddedRows, transform_images};
use super::suits;
use super::transforms::{outputs, patch};
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::{as_uninit, put_values};
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply_onto};
use crate::backend::cpu::{sized, vectorized};

/// Channels that are summed in one chain: with longer ones their rounding, which the transforms back magnify, is most of
/// the error.
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
        // SAFETY: the slice's values are initialised, and sums are written to them.
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
            SCRATCH.with_borrow_mut(|Scratch { frame, patches, products, .. }| {
                for block in Block::whole(self.size, x.len() / (inputs * plane)).split() {
                    let patches = sized(patches, Places::new(block.tiles(), inputs).len());
                    self.transform(&block, x, frame, patches);
                    for (filters, mut y) in filters.chunks(panel_len).zip(self.split(y)) {
                        // SAFETY: as the caller promises.
                        unsafe { self.finish(kernel, (&block, patches), filters, (&mut y, store), products) }
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
            SCRATCH.with_borrow_mut(|scratch| self.transform(&block, x, &mut scratch.frame, &mut patches));
            (block, patches)
        });
        let parts: Vec<(Block, Vec<f32>)> = parts.collect();

        let panels: Vec<_> = self.filters.panels().zip(self.split(y)).collect();
        panels.into_par_iter().for_each(|(outputs, mut y)| {
            SCRATCH.with_borrow_mut(|Scratch { filters, products, .. }| {
                let len = self.filters.panel_len(outputs.len());
                let filters = sized(filters, len);
                vectorized(
                    #[inline(always)]
                    || self.filters.transform_panel(outputs, filters),
                );
                for ((block, patches), y) in parts.iter().zip(y.chunks_mut(images)) {
                    // SAFETY: as the caller promises.
                    unsafe { self.finish(kernel, (block, patches), filters, (y, store), products) }
                }
            });
        });
    }

    fn transform(&self, block: &Block, x: &[f32], frame: &mut PaddedRows, patches: &mut [f32]) {
        let inputs = self.filters.inputs;
        vectorized(
            #[inline(always)]
            || transform_images(block, inputs, 0..inputs, patch, x, frame, patches),
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
    unsafe fn finish<K: Kernel>(
        &self,
        kernel: K,
        (block, patches): (&Block, &[f32]),
        filters: &[f32],
        (y, store): (&mut [&mut [MaybeUninit<f32>]], Store),
        Products { values, strip }: &mut Products,
    ) {
        let (inputs, tiles) = (self.filters.inputs, block.tiles());
        let columns = filters.len() / (PLACES * inputs);
        let (from, to) = (Places::new(tiles, inputs), Places::new(tiles, columns));
        let products = sized(values, to.len());
        let offsets: Vec<u32> = (0..inputs).map(|input| (input * columns) as u32).collect();
        let chains: Vec<Depth<'_>> = offsets.chunks(CHAIN).map(Depth::new).collect();
        let mut sums = Sums::new();
        for (place, filters) in filters.chunks_exact(inputs * columns).enumerate() {
            let left = Rows { values: &patches[from.at(place)..], count: tiles, stride: from.width, step: 1 };
            let products = &mut products[to.at(place)..];
            multiply_place(kernel, left, filters, &chains, (products, columns), &mut sums);
        }
        vectorized(
            #[inline(always)]
            // SAFETY: as the caller promises.
            || unsafe { transform_back(block, outputs, products, store, y, strip) },
        );
    }
}

/// Overwrites `tiles x outputs` with the product of one place.
fn multiply_place<K: Kernel>(
    kernel: K,
    left: Rows<'_>,
    right: &[f32],
    chains: &[Depth<'_>],
    (products, columns): (&mut [f32], usize),
    sums: &mut Sums,
) {
    for column in (0..columns).step_by(K::COLUMNS) {
        let width = K::COLUMNS.min(columns - column);
        let starts: [usize; VECTORS] = std::array::from_fn(|v| column + v * K::LANES);
        for tile in (0..left.count).step_by(K::ROWS) {
            let count = (left.count - tile).min(K::ROWS);
            let (mut first, mut store) = (tile * left.stride, Store::Overwrite);
            for chain in chains {
                let rows = Rows { values: &left.values[first..], count, ..left };
                multiply_onto(kernel, rows, right, &starts[..width / K::LANES], *chain, store, sums);
                (first, store) = (first + chain.len(), Store::Add);
            }
            vectorized(
                #[inline(always)]
                || {
                    for (r, sums) in sums.0.chunks_exact(K::COLUMNS).take(count).enumerate() {
                        let to = &mut products[(tile + r) * columns + column..];
                        put_values(to, &sums[..width], Store::Overwrite);
                    }
                },
            );
        }
    }
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    frame: PaddedRows,
    patches: Vec<f32>,
    filters: Vec<f32>,
    products: Products,
}

/// A block's products, and a strip of pixels on their way back.
#[derive(Default)]
struct Products {
    values: Vec<f32>,
    strip: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
