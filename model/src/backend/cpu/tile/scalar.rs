//! The tile as plain loops: what the others are held against, and what runs where there is no other.

use super::{Kernel, Store, Sums};

/// Plain loops; they become vectors of four where the baseline has them.
#[derive(Clone, Copy)]
pub(in super::super) struct Scalar;

impl Kernel for Scalar {
    const LANES: usize = 8;
    const ROWS: usize = 4;

    unsafe fn sum<const V: usize>(
        self,
        rows: [*const f32; 8],
        step: usize,
        starts: [*const f32; V],
        offsets: &[u32],
        store: Store,
        sums: &mut Sums,
    ) {
        let mut tile = [[[0.0f32; 8]; V]; 4];
        for (k, offset) in offsets.iter().enumerate() {
            for v in 0..V {
                // SAFETY: the caller promises eight values at each start and offset.
                let right = unsafe { starts[v].add(*offset as usize).cast::<[f32; 8]>().read_unaligned() };
                for (row, tile) in rows.iter().zip(&mut tile) {
                    // SAFETY: the caller promises a value at every step.
                    let left = unsafe { *row.add(k * step) };
                    for (sum, right) in tile[v].iter_mut().zip(right) {
                        *sum = multiply_add(left, right, *sum);
                    }
                }
            }
        }
        for (tile, sums) in tile.iter().zip(sums.0.chunks_exact_mut(Self::COLUMNS)) {
            match store {
                Store::Overwrite => sums[..V * 8].copy_from_slice(tile.as_flattened()),
                Store::Add => sums.iter_mut().zip(tile.as_flattened()).for_each(|(to, sum)| *to += sum),
            }
        }
    }
}

/// Fused where that is an instruction (and in tests, to compare bits), for it is slow where it is not.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(test, target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}
