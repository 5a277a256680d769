use dfdx::prelude::*;

use crate::backend::{Backend, computed};
use crate::init::InitRng;
use crate::module::{Buffer, Counter, NamedTensors, parts};
use crate::objective::unit;
use crate::tensors::Features;

/// Rows that persist across steps and in checkpoints, but are not trained: `rows x C`. They start with random
/// directions, uniform in `+-sqrt(3 / C)` for a mean square length of 1, like the memory bank of Wu et al. 2018.
#[derive(Clone, Debug)]
pub struct Rows<const C: usize, D: Backend> {
    /// The rows.
    pub rows: Buffer<(usize, Const<C>), D>,
}

/// MoCo's queue: the newest keys, unit rows, `length x C`. It starts with random directions.
#[derive(Clone, Debug)]
pub struct Queue<const C: usize, D: Backend> {
    /// The keys.
    pub keys: Buffer<(usize, Const<C>), D>,
    /// The number of the row that is overwritten next.
    pub next: Counter<D>,
}

impl<const C: usize, D: Backend> Rows<C, D> {
    pub(super) fn new(dev: &D, rng: &InitRng, rows: usize) -> Self {
        Self { rows: Buffer(rng.child("rows").uniform_rows(dev, rows, (3.0 / C as f64).sqrt())) }
    }

    /// The rows with these numbers.
    pub fn gather(&self, rows: &[usize]) -> Features<D, C> {
        computed(self.rows.device().gather_rows(&self.rows, rows))
    }

    /// Overwrites the rows with these numbers.
    pub fn scatter(&mut self, rows: &[usize], values: &Features<D, C>) {
        let dev = self.rows.device().clone();
        computed(dev.scatter_rows(&mut self.rows, rows, values));
    }
}

impl<const C: usize, D: Backend> Queue<C, D> {
    pub(super) fn new(dev: &D, rng: &InitRng, length: usize) -> Self {
        Self { keys: Buffer(unit(rng.child("keys").normal_rows(dev, length))), next: Counter::new(dev) }
    }

    /// Overwrites the oldest keys.
    pub fn push(&mut self, keys: &Features<D, C>) {
        let (length, next) = (self.keys.shape().0, self.next.count);
        let rows: Vec<usize> = (0..keys.shape().0).map(|i| (next + i) % length).collect();
        let dev = self.keys.device().clone();
        computed(dev.scatter_rows(&mut self.keys, &rows, keys));
        self.next.count = (next + rows.len()) % length;
    }
}

impl<const C: usize, D: Backend> NamedTensors<D> for Rows<C, D> {
    parts! { "": rows }
}

impl<const C: usize, D: Backend> NamedTensors<D> for Queue<C, D> {
    parts! { "keys": keys, "next": next }
}
