//! The inner loop of every product: a tile of sums that stays in registers.
//!
//! `sums[r][c] = sum over k of left[r][k] right[k][c]`. The left factor's values are broadcast, the right one's are
//! loaded as vectors of neighbouring columns. A vector's address is a start plus an offset that depends only on `k`, so
//! the same loop reads packed panels and, in place, windows of an image. Each sum is a chain of fused multiply-adds in
//! the order of `k`, so results have the same bits on every instruction set.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;

mod scalar;
pub(super) use scalar::Scalar;

use super::matrix::Store;

/// Vectors of columns in a tile.
pub(super) const VECTORS: usize = 3;

/// The largest `k` range that is summed at a time: what it touches stays in the caches.
const MAX_DEPTH: usize = 256;

/// An instruction set's tile of `ROWS x (VECTORS * LANES)` sums. A value proves that the machine has the instructions.
pub(super) trait Kernel: Copy + Send + Sync {
    /// Values of a vector.
    const LANES: usize;
    /// Rows of a tile, at most 8.
    const ROWS: usize;
    /// Columns of a tile, at most 48.
    const COLUMNS: usize = VECTORS * Self::LANES;

    /// Makes the sums of the first `V` vectors, and overwrites `sums` with them or adds them.
    ///
    /// # Safety
    /// `rows` begin at pointers from which `step` times every `k` can be read; `starts` are pointers from which
    /// `LANES` values can be read at every offset.
    unsafe fn sum<const V: usize>(
        self,
        rows: [*const f32; 8],
        step: usize,
        starts: [*const f32; V],
        offsets: &[u32],
        store: Store,
        sums: &mut Sums,
    );
}

/// A tile's results: row `r` and column `c` at `r * COLUMNS + c`.
#[repr(align(64))]
pub(super) struct Sums(pub(super) [f32; 8 * VECTORS * 16]);

impl Sums {
    pub(super) fn new() -> Self {
        Self([0.0; 8 * VECTORS * 16])
    }
}

/// Rows of the left factor: `(r, k)` is `values[r * stride + k * step]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) count: usize,
    pub(super) stride: usize,
    pub(super) step: usize,
}

/// A range of `k`, and the offset of each into the right factor.
#[derive(Clone, Copy)]
pub(super) struct Depth<'a> {
    offsets: &'a [u32],
    largest: usize,
}

impl<'a> Depth<'a> {
    /// The range of these offsets.
    pub(super) fn new(offsets: &'a [u32]) -> Self {
        Self { offsets, largest: offsets.iter().copied().max().unwrap_or(0) as usize }
    }

    /// Cuts the offsets of all `k` into ranges of nearly equal length.
    pub(super) fn blocks(offsets: &'a [u32]) -> Vec<Self> {
        let count = offsets.len().div_ceil(MAX_DEPTH).max(1);
        offsets.chunks(offsets.len().div_ceil(count).max(1)).map(Self::new).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }
}

/// Overwrites the sums of `rows`' first `K::ROWS` rows and the vectors of `right` that begin at `starts`.
///
/// # Panics
/// If a factor's values are not inside its slice, or there are more vectors than a tile's.
#[inline(always)]
pub(super) fn multiply<K: Kernel>(
    kernel: K,
    rows: Rows<'_>,
    right: &[f32],
    starts: &[usize],
    depth: Depth<'_>,
    sums: &mut Sums,
) {
    multiply_onto(kernel, rows, right, starts, depth, Store::Overwrite, sums);
}

/// As [`multiply`], or, to sum in more than one chain, adds the products to the sums.
///
/// # Panics
/// As [`multiply`].
#[inline(always)]
pub(super) fn multiply_onto<K: Kernel>(
    kernel: K,
    rows: Rows<'_>,
    right: &[f32],
    starts: &[usize],
    depth: Depth<'_>,
    store: Store,
    sums: &mut Sums,
) {
    let count = rows.count.min(K::ROWS);
    assert!(count > 0 && depth.len() > 0, "an empty product");
    let last = (count - 1) * rows.stride + (depth.len() - 1) * rows.step;
    assert!(last < rows.values.len(), "the left factor reaches beyond its slice");
    for start in starts {
        assert!(start + depth.largest + K::LANES <= right.len(), "the right factor reaches beyond its slice");
    }
    // A row beyond the last repeats it; its sums are not used.
    let left = std::array::from_fn(|r| rows.values[r.min(count - 1) * rows.stride..].as_ptr());
    // SAFETY: the last row's last value is inside the slice, so all are; each vector at the largest offset is too.
    unsafe {
        match *starts {
            [a] => {
                kernel.sum(left, rows.step, [a].map(|s| right.as_ptr().add(s)), depth.offsets, store, sums)
            }
            [a, b] => {
                kernel.sum(left, rows.step, [a, b].map(|s| right.as_ptr().add(s)), depth.offsets, store, sums)
            }
            [a, b, c] => {
                kernel.sum(
                    left,
                    rows.step,
                    [a, b, c].map(|s| right.as_ptr().add(s)),
                    depth.offsets,
                    store,
                    sums,
                );
            }
            _ => panic!("a tile has one to three vectors"),
        }
    }
}

/// Evaluates `$body` with `$kernel` bound to the fastest kernel that this machine can run.
macro_rules! with_kernel {
    ($kernel:ident => $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            use $crate::backend::cpu::tile::{Avx2, Avx512};
            if let Some($kernel) = Avx512::detect() {
                $body
            } else if let Some($kernel) = Avx2::detect() {
                $body
            } else {
                let $kernel = $crate::backend::cpu::tile::Scalar;
                $body
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let $kernel = $crate::backend::cpu::tile::Scalar;
            $body
        }
    }};
}
pub(super) use with_kernel;

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: usize, len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
    }

    /// Columns beyond a narrower kernel's tile are computed by further calls.
    fn all_sums<K: Kernel>(
        kernel: K,
        rows: Rows<'_>,
        right: &[f32],
        columns: usize,
        offsets: &[u32],
    ) -> Vec<f32> {
        let mut found = vec![f32::NAN; rows.count * columns];
        for first in (0..rows.count).step_by(K::ROWS) {
            for from in (0..columns).step_by(K::COLUMNS) {
                let starts: Vec<usize> = (from..columns.min(from + K::COLUMNS)).step_by(K::LANES).collect();
                let mut sums = Sums::new();
                let values = &rows.values[first * rows.stride..];
                let block = Rows { values, count: rows.count - first, ..rows };
                multiply(kernel, block, right, &starts, Depth::new(offsets), &mut sums);
                let again = Depth::new(&offsets[..offsets.len() / 2 + 1]);
                multiply_onto(kernel, block, right, &starts, again, Store::Add, &mut sums);
                for r in 0..block.count.min(K::ROWS) {
                    for c in 0..K::COLUMNS.min(columns - from) {
                        found[(first + r) * columns + from + c] = sums.0[r * K::COLUMNS + c];
                    }
                }
            }
        }
        found
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn every_kernel_gives_the_plain_loops_bits() {
        for depth in (1..=64).chain([255, 256]) {
            for (count, columns) in [(1, 1), (3, 16), (8, 17), (9, 48), (13, 50)] {
                let offsets: Vec<u32> = (0..depth as u32).map(|k| k * 5 % 64 + k).collect();
                let right = noise(depth, 64 + depth + columns + 64);
                for (stride, step) in [(depth, 1), (1, count)] {
                    let values = noise(count, count * depth);
                    let rows = Rows { values: &values, count, stride, step };
                    let plain = all_sums(Scalar, rows, &right, columns, &offsets);
                    if let Some(kernel) = Avx2::detect() {
                        assert!(
                            all_sums(kernel, rows, &right, columns, &offsets) == plain,
                            "{count} {depth}"
                        );
                    }
                    if let Some(kernel) = Avx512::detect() {
                        assert!(
                            all_sums(kernel, rows, &right, columns, &offsets) == plain,
                            "{count} {depth}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_are_nearly_equal() {
        let offsets: Vec<u32> = (0..577).collect();
        let lengths: Vec<usize> = Depth::blocks(&offsets).iter().map(Depth::len).collect();
        assert_eq!(lengths, [193, 193, 191]);
    }

    #[test]
    #[should_panic(expected = "beyond its slice")]
    fn a_vector_outside_the_slice_is_refused() {
        let rows = Rows { values: &[1.0], count: 1, stride: 0, step: 0 };
        multiply(Scalar, rows, &[0.0; 8], &[1], Depth::new(&[0]), &mut Sums::new());
    }
}
