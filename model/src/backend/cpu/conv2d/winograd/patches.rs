//! From images to transformed patches, and back from transformed tiles to images.
//!
//! Images are planes, one a channel; the transforms want the channels of a pixel side by side.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::transforms::{LANES, Steps, transform};
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::put;

/// Outputs of a tile along one side.
pub(super) const TILE: usize = 4;
/// Places of a transformed patch along one side, and all of them.
pub(super) const SIDE: usize = 6;
pub(super) const PLACES: usize = SIDE * SIDE;
/// Tiles that are multiplied with a filter at a time: enough for the sums to pay for loading it.
const BLOCK_TILES: usize = 64;
/// Channels and pixels that are transposed at a time.
const SQUARE: usize = 8;

/// Neighbouring rows of tiles of some images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Height and width of an image.
    pub(super) size: usize,
    pub(super) images: usize,
    /// Rows of tiles.
    pub(super) rows: Range<usize>,
}

impl Block {
    /// All tiles of some images.
    pub(super) fn whole(size: usize, images: usize) -> Self {
        Self { size, images, rows: 0..size.div_ceil(TILE) }
    }

    /// How many images make a block.
    pub(super) fn images_of_one(size: usize) -> usize {
        (BLOCK_TILES / Self::whole(size, 1).tiles()).max(1)
    }

    /// Cuts the tiles of large images into blocks of some rows.
    pub(super) fn split(self) -> impl Iterator<Item = Self> {
        let rows = (BLOCK_TILES / (self.images * self.across())).max(1);
        let block = move |first| Self {
            size: self.size,
            images: self.images,
            rows: first..self.rows.end.min(first + rows),
        };
        (self.rows.start..self.rows.end).step_by(rows).map(block)
    }

    /// Tiles in a row.
    pub(super) fn across(&self) -> usize {
        self.size.div_ceil(TILE)
    }

    /// Tiles of all images.
    pub(super) fn tiles(&self) -> usize {
        self.images * self.rows.len() * self.across()
    }

    /// Rows of pixels of a row of tiles, with this many more above and below.
    fn pixel_rows(&self, rows: &Range<usize>, more: usize) -> Range<usize> {
        (rows.start * TILE).saturating_sub(more)..(rows.end * TILE + more).min(self.size)
    }
}

/// Transformed tiles: `place x tile x channel`, the channels filled up to whole vectors.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub(super) tiles: usize,
    /// Values of a tile at a place.
    pub(super) width: usize,
}

impl Places {
    pub(super) fn new(tiles: usize, channels: usize) -> Self {
        Self { tiles, width: channels.next_multiple_of(LANES) }
    }

    /// Where the tiles of a place begin. Places are an odd number of cache lines apart, lest they share cache sets.
    #[inline(always)]
    pub(super) fn at(&self, place: usize) -> usize {
        place * (self.tiles * self.width + LANES)
    }

    pub(super) fn len(&self) -> usize {
        self.at(PLACES)
    }

    fn steps(&self) -> Steps {
        Steps { row: self.at(SIDE), column: self.at(1) }
    }
}

/// A thread's copy of an image's rows, some channels of a pixel after those of another, with zeros around them.
#[derive(Default)]
pub(super) struct Frame {
    values: Vec<f32>,
    /// Whose zeros these are, and the side of a patch.
    zeros: Option<(Block, usize)>,
}

impl Frame {
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
    frame: &mut Frame,
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
            let mut square = [[0.0f32; SQUARE]; SQUARE];
            let at = |c: usize| (first + c) * plane + p * SQUARE;
            if (count, positions.len()) == (SQUARE, SQUARE) {
                square = std::array::from_fn(
                    #[inline(always)]
                    |c| *from[at(c)..].first_chunk().expect("a run of pixels lies inside its plane"),
                );
            } else {
                for (c, line) in square.iter_mut().enumerate().take(count) {
                    line[..positions.len()].copy_from_slice(&from[at(c)..][..positions.len()]);
                }
            }
            let square = transposed(square);
            for (position, pixel) in positions.iter().zip(&square) {
                to[*position as usize + first..][..SQUARE].copy_from_slice(pixel);
            }
        }
    }
}

#[inline(always)]
fn transposed(square: [[f32; SQUARE]; SQUARE]) -> [[f32; SQUARE]; SQUARE] {
    std::array::from_fn(
        #[inline(always)]
        |j| {
            std::array::from_fn(
                #[inline(always)]
                |i| square[i][j],
            )
        },
    )
}

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
            let mut square = [[0.0f32; SQUARE]; SQUARE];
            for (p, pixel) in square.iter_mut().enumerate().take(width) {
                *pixel = *from[(x + p) * LANES + first..].first_chunk().expect("pixels have all lanes");
            }
            for (c, line) in transposed(square).iter().enumerate().take(count) {
                let to = &mut to[(first + c) * plane + x..];
                // SAFETY: as the caller promises.
                unsafe { put(to, 1, &line[..width], store) }
            }
        }
    }
}
