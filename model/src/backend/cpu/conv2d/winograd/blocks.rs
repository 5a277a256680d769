//! The blocks that are transformed and multiplied together, and the layout of the transformed values.

use std::ops::Range;

use super::transforms::{LANES, Steps};

/// Outputs of a tile along one side.
pub(super) const TILE: usize = 4;
/// Places of a transformed patch along one side, and all of them.
pub(super) const SIDE: usize = 6;
pub(super) const PLACES: usize = SIDE * SIDE;
/// Tiles that are multiplied with a filter at a time: enough for the sums to pay for loading it.
const BLOCK_TILES: usize = 64;
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
    pub(super) fn pixel_rows(&self, rows: &Range<usize>, more: usize) -> Range<usize> {
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

    pub(super) fn steps(&self) -> Steps {
        Steps { row: self.at(SIDE), column: self.at(1) }
    }
}
