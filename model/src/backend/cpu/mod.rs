//! The operations on dfdx's `Cpu`, on rayon's current pool.
//!
//! Work is cut into parts by the shapes alone, never by the number of threads, and partial sums are added in a fixed
//! order: results are the same bits for any number of threads.

use std::sync::atomic::{AtomicBool, Ordering};

use dfdx::prelude::Cpu;

pub mod profile;

mod tensor_view;

mod planes;

mod matrix;

mod tile;

mod product;

mod conv2d;

mod batch_norm;

mod pool;

mod linear;

mod cosine;

mod rows;

mod sgd;

mod feed;

/// How the CPU computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Images between layers, and the factors of every product, rounded to bf16; sums, statistics and parameters in single
    /// precision. It halves the memory of images and takes more time than [`Precision::F32`].
    Bf16,
}

static BF16: AtomicBool = AtomicBool::new(false);

/// Does `work` on a CPU that computes in `precision` meanwhile, in the whole process.
pub fn in_precision<R>(precision: Precision, work: impl FnOnce(&Cpu) -> R) -> R {
    /// Also when the work panics.
    struct Restored(bool);
    impl Drop for Restored {
        fn drop(&mut self) {
            BF16.store(self.0, Ordering::Relaxed);
        }
    }
    let _before = Restored(BF16.swap(precision == Precision::Bf16, Ordering::Relaxed));
    work(&Cpu::default())
}

fn precision() -> Precision {
    if BF16.load(Ordering::Relaxed) { Precision::Bf16 } else { Precision::F32 }
}

/// Runs a loop compiled for the widest vectors that this machine has.
#[inline(always)]
fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
