//! Transforms images, whose channels are planes, to patches in channels-last layout.

use std::ops::Range;

use super::blocks::{Block, Places, SIDE, TILE};
use super::transforms::{LANES, Steps, transform};
use crate::backend::cpu::transpose::{SQUARE, transposed};

/// A thread's copy of an image's rows, some channels of a pixel after those of another, with zeros around them.
#[derive(Default)]
pub(super) struct PaddedRows {
    values: Vec<f32>,
    /// Whose zeros these are, and the side of a patch.
    zeros: Option<(Block, usize)>,
}

impl PaddedRows {
    /// Values whose pixels are to be overwritten; the zeros around them stay from image to image.
    fn of(&mut self, block: &Block, side: usize, len: usize) -> &mut [f32] {
        if self.zeros.as_ref().is_none_or(|(zeros, n)| (zeros, *n) != (block, side)) {
            self.zeros = Some((block.clone(), side));
            self.values.clear();
            self.values.resize(len, 0.0);
        }
        &mut self.values
    }
}

/// Transforms some channels' tiles of a block of images of `planes` planes: `N` pixels a side, with as many above and
/// left of the tile as below and right.
#[inline(always)]
pub(super) fn transform_images<const N: usize>(
    block: &Block,
    planes: usize,
    channels: Range<usize>,
    line: impl Fn([f32; N]) -> [f32; SIDE],
    images: &[f32],
    frame: &mut PaddedRows,
    to: &mut [f32],
) {
    let before = (N - TILE) / 2;
    let (plane, across) = (block.size * block.size, block.across());
    let width = across * TILE + N - TILE;
    let inside = block.pixel_rows(&block.rows, before);
    let top = block.rows.start * TILE;
    let places = Places::new(block.tiles(), channels.len());
    let position = |pixel: usize| {
        let (y, x) = (pixel / block.size, pixel % block.size);
        (((y + before - top) * width + x + before) * LANES) as u32
    };
    let positions: Vec<u32> = (inside.start * block.size..inside.end * block.size).map(position).collect();
    let frame = frame.of(block, N, (block.rows.len() * TILE + N - TILE) * width * LANES);
    for (i, image) in images.chunks_exact(planes * plane).enumerate() {
        for channel in channels.clone().step_by(LANES) {
            let count = LANES.min(channels.end - channel);
            let from = &image[channel * plane + inside.start * block.size..];
            gather(from, plane, count, &positions, frame);
            let mut tile = i * block.rows.len() * across;
            for row in 0..block.rows.len() {
                for column in 0..across {
                    let from = &frame[(row * width + column) * TILE * LANES..];
                    let to = &mut to[tile * places.width + channel - channels.start..];
                    transform(
                        &line,
                        (from, Steps { row: width * LANES, column: LANES }),
                        (to, places.steps()),
                    );
                    tile += 1;
                }
            }
        }
    }
}

/// Writes the pixels of some channels, pixel after pixel, where `positions` say.
#[inline(always)]
fn gather(from: &[f32], plane: usize, channels: usize, positions: &[u32], to: &mut [f32]) {
    for first in (0..channels).step_by(SQUARE) {
        let count = SQUARE.min(channels - first);
        for (p, positions) in positions.chunks(SQUARE).enumerate() {
            let at = |c: usize| (first + c) * plane + p * SQUARE;
            let square = if (count, positions.len()) == (SQUARE, SQUARE) {
                std::array::from_fn(
                    #[inline(always)]
                    |c| *from[at(c)..].first_chunk().expect("a run of pixels lies inside its plane"),
                )
            } else {
                let mut square = [[0.0f32; SQUARE]; SQUARE];
                for (c, line) in square.iter_mut().enumerate().take(count) {
                    line[..positions.len()].copy_from_slice(&from[at(c)..][..positions.len()]);
                }
                square
            };
            let square = transposed(&square);
            for (position, pixel) in positions.iter().zip(&square) {
                to[*position as usize + first..][..SQUARE].copy_from_slice(pixel);
            }
        }
    }
}
