//! Tiles of 16 x 16 sums in single precision of products of bf16.
//!
//! The left factor's rows are runs of 32 halves for each step of depth; the right factor is packed: for each step, 16 rows
//! of 16 words, a word two halves of neighbouring depth of one column.

use crate::backend::cpu::Instructions;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod dot_products;

#[cfg(test)]
mod loops;
#[cfg(test)]
pub(super) use loops::Emulated;

/// Rows of a left tile, and columns of a right one.
pub(super) const SIDE: usize = 16;
/// Depth of a step, in halves.
pub(super) const STEP: usize = 32;
/// Words of a right tile.
pub(super) const TILE: usize = SIDE * STEP / 2;

/// What multiplies tiles. Each engine adds in an order of its own.
#[derive(Clone, Copy)]
pub(in super::super) enum Engine {
    #[cfg(target_arch = "x86_64")]
    Amx(amx::Amx),
    #[cfg(target_arch = "x86_64")]
    DotProducts(dot_products::DotProducts),
    /// The same bits as an engine gives, on any machine.
    #[cfg(test)]
    Loops(Emulated),
}

impl Engine {
    /// The fastest that this machine has and [`Instructions::limit`] allows.
    pub(in super::super) fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return amx::Amx::detect()
            .map(Self::Amx)
            .or_else(|| dot_products::DotProducts::detect().map(Self::DotProducts));
        #[cfg(not(target_arch = "x86_64"))]
        return None;
    }

    /// The best set of instructions of this processor that is one for products in bf16.
    pub(in super::super) fn best_instructions() -> Option<Instructions> {
        #[cfg(target_arch = "x86_64")]
        if amx::is_permitted() {
            return Some(Instructions::Amx);
        } else if dot_products::are_fast() {
            return Some(Instructions::Avx512Bf16);
        }
        None
    }

    /// Calls `work` while this thread's tiles are ready.
    fn ready<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(amx) => amx.ready(work),
            #[cfg(target_arch = "x86_64")]
            Self::DotProducts(_) => work(),
            #[cfg(test)]
            Self::Loops(_) => work(),
        }
    }

    /// Overwrites the first `16 M x 16 N` sums, where `M x N` is `4 x 1` or `2 x 2`: those of left tile `m` are at
    /// `m * 256 N`, row after row.
    ///
    /// # Safety
    /// It is called inside of [`ready`](Self::ready). From each of the left tiles, at `row` halves times 0 to 15 plus each
    /// offset, [`STEP`] halves can be read; from each of the right ones, [`TILE`] words for each offset.
    #[inline(always)]
    unsafe fn sum<const M: usize, const N: usize>(self, factors: &Factors<'_, M, N>, sums: &mut Sums) {
        // SAFETY: the caller's promise is the engines'.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Amx(amx) => amx.sum(factors, sums),
                #[cfg(target_arch = "x86_64")]
                Self::DotProducts(dot_products) => dot_products.sum(factors, sums),
                #[cfg(test)]
                Self::Loops(emulated) => emulated.sum(factors, sums),
            }
        }
    }
}

/// Left and right tiles.
struct Factors<'a, const M: usize, const N: usize> {
    left: [*const u16; M],
    /// How far the left tiles' rows are apart, in halves, and where in a row each step of depth begins.
    row: usize,
    offsets: &'a [u32],
    right: [*const u32; N],
}

/// Room for the results of four tiles.
#[repr(align(64))]
pub(in super::super) struct Sums([f32; 4 * SIDE * SIDE]);

/// The left factor. Row `r` of tile `i` at the depth `32 d + k` is `halves[starts[i] + r * row + offsets[d] + k]`.
pub(super) struct Left<'a> {
    pub(super) halves: &'a [u16],
    pub(super) starts: &'a [usize],
    pub(super) row: usize,
    pub(super) offsets: &'a [u32],
}

/// Multiplies every left tile with every panel of 16 columns; a panel is one right tile for each step of depth. `put` gets a
/// tile's number, a first column, and the sums, row after row of 16 or of 32 columns.
///
/// # Panics
/// If the left factor reaches beyond its halves, or the panels are not whole.
#[inline(always)]
pub(super) fn multiply(
    engine: Engine,
    left: &Left<'_>,
    panels: &[u32],
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let (Some(last), Some(reach)) = (left.starts.iter().max(), left.offsets.iter().max()) else { return };
    let end = last + (SIDE - 1) * left.row + *reach as usize + STEP;
    assert!(end <= left.halves.len(), "the left factor reaches beyond its halves");
    let panel = left.offsets.len() * TILE;
    assert!(panels.len().is_multiple_of(panel), "panels are not whole");
    let mut sums = Sums([0.0; 4 * SIDE * SIDE]);
    // SAFETY: the farthest start, row and offset are inside of the halves, so all are; panels are whole.
    let start =
        |tile: usize| unsafe { left.halves.as_ptr().add(left.starts[tile.min(left.starts.len() - 1)]) };
    engine.ready(|| {
        for (i, panels) in panels.chunks(2 * panel).enumerate() {
            let (tiles, width) = if panels.len() == panel { (4, SIDE) } else { (2, 2 * SIDE) };
            for first in (0..left.starts.len()).step_by(tiles) {
                let (row, offsets, right) = (left.row, left.offsets, panels.as_ptr());
                // SAFETY: as above; a tile beyond the last repeats it.
                unsafe {
                    if panels.len() == panel {
                        let left = [first, first + 1, first + 2, first + 3].map(start);
                        engine.sum(&Factors { left, row, offsets, right: [right] }, &mut sums);
                    } else {
                        let (left, right) = ([first, first + 1].map(start), [right, right.add(panel)]);
                        engine.sum(&Factors { left, row, offsets, right }, &mut sums);
                    }
                }
                let results = sums.0.chunks_exact(SIDE * width);
                for (tile, results) in (first..left.starts.len().min(first + tiles)).zip(results) {
                    put(tile, i * 2 * SIDE, results);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::{narrowed, widened};
    use super::*;

    fn noise(seed: u32, len: usize) -> Vec<u16> {
        let value = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 12) as f32;
        (0..len as u32)
            .map(|i| narrowed((value(i) / 524_288.0 - 1.0) * 2f32.powi((i % 9) as i32 - 4)))
            .collect()
    }

    /// Tiles of overlapping rows, and columns of an odd and an even number of panels.
    fn sums(engine: Engine, panels: usize, tiles: usize) -> Vec<f32> {
        let offsets = [0, 32, 200, 500];
        let starts: Vec<usize> = (0..tiles).map(|tile| 16 * tile).collect();
        let halves = noise(1, 16 * tiles + 15 * 48 + 532);
        let words: Vec<u32> = noise(2, 2 * panels * offsets.len() * TILE)
            .chunks(2)
            .map(|two| super::super::pair(two[0], two[1]))
            .collect();
        let left = Left { halves: &halves, starts: &starts, row: 48, offsets: &offsets };
        let mut found = vec![f32::NAN; tiles * SIDE * panels * SIDE];
        multiply(engine, &left, &words, |tile, column, sums| {
            let width = sums.len() / SIDE;
            for (r, row) in sums.chunks_exact(width).enumerate() {
                found[(tile * SIDE + r) * panels * SIDE + column..][..width].copy_from_slice(row);
            }
        });

        let at = |row: usize, column: usize| -> f64 {
            let depth = offsets.iter().flat_map(|offset| (0..STEP).map(move |k| *offset as usize + k));
            let start = starts[row / SIDE] + row % SIDE * 48;
            let each = depth.enumerate().map(|(k, at)| {
                let word = words
                    [(column / SIDE * offsets.len() + k / STEP) * TILE + k % STEP / 2 * SIDE + column % SIDE];
                let right = widened(if k % 2 == 0 { word as u16 } else { (word >> 16) as u16 });
                f64::from(widened(halves[start + at])) * f64::from(right)
            });
            each.sum()
        };
        for (i, found) in found.iter().enumerate() {
            let expected = at(i / (panels * SIDE), i % (panels * SIDE));
            assert!((f64::from(*found) - expected).abs() < 1e-3, "{i}: {found}, not {expected}");
        }
        found
    }

    #[test]
    fn engines_give_the_bits_of_the_loops() {
        for (panels, tiles) in [(1, 1), (1, 6), (2, 1), (2, 4), (3, 5)] {
            for emulated in [Emulated::Amx, Emulated::DotProducts] {
                let expected = sums(Engine::Loops(emulated), panels, tiles);
                match emulated.engine() {
                    Some(engine) => assert!(
                        sums(engine, panels, tiles) == expected,
                        "{emulated:?}: {panels} panels, {tiles} tiles"
                    ),
                    None => eprintln!("{emulated:?} is not compared: this machine does not have it"),
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond its halves")]
    fn a_row_outside_of_the_halves_is_refused() {
        let left = Left { halves: &[0; 15 * 4 + 31], starts: &[0], row: 4, offsets: &[0] };
        multiply(Engine::Loops(Emulated::Amx), &left, &[0; TILE], |_, _, _| {});
    }
}
