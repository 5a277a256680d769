//! Transforms tiles in channels-last layout back to images.

use std::mem::MaybeUninit;

use super::blocks::{Block, Places, SIDE, TILE};
use super::transforms::{LANES, Steps, transform};
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::put;
use crate::backend::cpu::transpose::{SQUARE, transposed};

/// Transforms a block's tiles of some neighbouring channels back, into the planes of these channels of each image.
///
/// # Safety
/// If `store` is `Add`, the planes' values are initialised.
#[inline(always)]
pub(super) unsafe fn transform_back(
    block: &Block,
    line: impl Fn([f32; SIDE]) -> [f32; TILE],
    from: &[f32],
    store: Store,
    images: &mut [&mut [MaybeUninit<f32>]],
    strip: &mut Vec<f32>,
) {
    let (plane, across) = (block.size * block.size, block.across());
    let channels = images.first().map_or(0, |planes| planes.len() / plane);
    let places = Places::new(block.tiles(), channels);
    let width = across * TILE;
    strip.resize(strip.len().max(TILE * width * LANES), 0.0);
    let mut tile = 0;
    for planes in images {
        for row in block.rows.clone() {
            let rows = block.pixel_rows(&(row..row + 1), 0);
            for channel in (0..channels).step_by(LANES) {
                for column in 0..across {
                    let from = &from[(tile + column) * places.width + channel..];
                    let to = &mut strip[column * TILE * LANES..];
                    transform(
                        &line,
                        (from, places.steps()),
                        (to, Steps { row: width * LANES, column: LANES }),
                    );
                }
                let count = LANES.min(channels - channel);
                for y in rows.clone() {
                    let strip = &strip[(y - rows.start) * width * LANES..];
                    let to = &mut planes[channel * plane + y * block.size..];
                    // SAFETY: as the caller promises.
                    unsafe { scatter(strip, count, block.size, store, plane, to) };
                }
            }
            tile += across;
        }
    }
}

/// Writes pixels whose channels are neighbours to a row of each channel's plane.
///
/// # Safety
/// If `store` is `Add`, `to`'s values are initialised.
#[inline(always)]
unsafe fn scatter(
    from: &[f32],
    channels: usize,
    pixels: usize,
    store: Store,
    plane: usize,
    to: &mut [MaybeUninit<f32>],
) {
    for first in (0..channels).step_by(SQUARE) {
        let count = SQUARE.min(channels - first);
        for x in (0..pixels).step_by(SQUARE) {
            let width = SQUARE.min(pixels - x);
            let square = std::array::from_fn(
                #[inline(always)]
                |p| {
                    if p < width {
                        *from[(x + p) * LANES + first..].first_chunk().expect("pixels have all lanes")
                    } else {
                        [0.0; SQUARE]
                    }
                },
            );
            for (c, line) in transposed(&square).iter().enumerate().take(count) {
                let to = &mut to[(first + c) * plane + x..];
                // SAFETY: as the caller promises.
                unsafe {
                    if width == SQUARE {
                        put(to, 1, line, store);
                    } else {
                        put(to, 1, &line[..width], store);
                    }
                }
            }
        }
    }
}
