//! The operations on dfdx's `Cpu`, on rayon's current pool.
//!
//! Work is divided by shapes alone, never by the number of threads, and partial sums are added in a fixed order.
//! Results have the same bits for any number of threads.

use std::cell::Cell;

use dfdx::prelude::Cpu;

pub mod profile;

mod peak;
pub use peak::peak_gflop_per_s;

mod instructions;
pub use instructions::Instructions;
use instructions::vectorized;

mod tensor_view;

mod planes;

mod bf16;

mod matrix;
pub use matrix::Matrix;

mod tile;

mod transpose;

mod product;
pub use product::matrix_product;

mod conv2d;

mod batch_norm;

mod pool;

mod linear;

mod cosine;

mod rows;

mod scalars;

mod exchange;

mod parts;
use parts::by_parts;

mod sgd;

mod lars;

mod adamw;

mod feed;

/// The CPU's precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Images between layers, and the factors of convolutions and linear layers, are rounded to bf16; sums, statistics
    /// and parameters are in single precision. This halves the memory of images. It takes less time than
    /// [`Precision::F32`] with AMX, about as much with AVX-512's dot products of bf16 where they are fast, and more without.
    Bf16,
}

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Runs `work` on a CPU that computes in `precision`, on this thread.
pub fn in_precision<R>(precision: Precision, work: impl FnOnce(&Cpu) -> R) -> R {
    /// Also when the work panics.
    struct Restored(Precision);
    impl Drop for Restored {
        fn drop(&mut self) {
            PRECISION.set(self.0);
        }
    }
    let _before = Restored(PRECISION.replace(precision));
    work(&Cpu::default())
}

fn precision() -> Precision {
    PRECISION.get()
}

/// A buffer's first values, after it has grown to as many.
fn sized<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    buffer.resize(buffer.len().max(len), T::default());
    &mut buffer[..len]
}
