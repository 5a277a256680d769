//! Initial values of parameters, as PyTorch draws them.

use std::f64::consts::TAU;

use dfdx::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::backend::Backend;
use crate::module::joined;
use crate::tensors::{Channels, Features};

/// A generator of initial values with one random stream per parameter name.
///
/// A parameter's values depend only on the seed and its full name, not on the order in which the network is built or on
/// its other parts.
#[derive(Clone, Debug)]
pub struct InitRng {
    /// None for zeros.
    seed: Option<u64>,
    path: String,
    zero_init_residual: bool,
}

impl InitRng {
    /// The generator of a whole network. Each residual block starts as the identity: the scale of its last batch norm
    /// is 0 (Goyal et al. 2017).
    pub fn new(seed: u64) -> Self {
        Self { seed: Some(seed), path: String::new(), zero_init_residual: true }
    }

    /// Draws only zeros: for a network of which only names and shapes are needed.
    pub fn blank() -> Self {
        Self { seed: None, ..Self::new(0) }
    }

    /// Whether residual blocks start as the identity; if not, the scale of their last batch norm is 1.
    pub fn zero_init_residual(self, zero: bool) -> Self {
        Self { zero_init_residual: zero, ..self }
    }

    /// The scale with which the last batch norm of a residual block begins.
    pub(crate) fn last_scale<const C: usize, D: Backend>(&self, dev: &D) -> Channels<D, C> {
        if self.zero_init_residual { dev.zeros() } else { dev.ones() }
    }

    /// The generator of the part `name` of the network.
    pub fn child(&self, name: &str) -> Self {
        Self { path: joined(&self.path, name), ..self.clone() }
    }

    /// Normal with mean 0 and variance `2 / fan_out`: torchvision's initialisation of ResNet convolutions.
    pub fn kaiming_normal<S: ConstShape, D: Backend>(&self, dev: &D, fan_out: usize) -> Tensor<S, f32, D> {
        let std = (2.0 / fan_out as f64).sqrt();
        let mut stream = self.stream();
        self.fill(dev, || (std * normal(&mut stream)) as f32)
    }

    /// Uniform in `+-1 / sqrt(fan_in)`: PyTorch's default for a linear layer's weight (Kaiming with `a = sqrt 5`) and
    /// for its bias.
    pub fn kaiming_uniform<S: ConstShape, D: Backend>(&self, dev: &D, fan_in: usize) -> Tensor<S, f32, D> {
        let bound = 1.0 / (fan_in as f64).sqrt();
        let mut stream = self.stream();
        self.fill(dev, || within(bound, &mut stream))
    }

    /// Uniform in `+-bound`, `rows x C`.
    pub fn uniform_rows<const C: usize, D: Backend>(
        &self,
        dev: &D,
        rows: usize,
        bound: f64,
    ) -> Features<D, C> {
        let mut stream = self.stream();
        let values = std::iter::repeat_with(|| within(bound, &mut stream)).take(rows * C).collect();
        dev.tensor_from_vec(values, (rows, Const))
    }

    /// Standard normal, `rows x C`.
    pub fn normal_rows<const C: usize, D: Backend>(&self, dev: &D, rows: usize) -> Features<D, C> {
        let mut stream = self.stream();
        let values = std::iter::repeat_with(|| normal(&mut stream) as f32).take(rows * C).collect();
        dev.tensor_from_vec(values, (rows, Const))
    }

    fn fill<S: ConstShape, D: Backend>(&self, dev: &D, draw: impl FnMut() -> f32) -> Tensor<S, f32, D> {
        let shape = S::default();
        if self.seed.is_none() {
            return dev.zeros();
        }
        dev.tensor_from_vec(std::iter::repeat_with(draw).take(shape.num_elements()).collect(), shape)
    }

    fn stream(&self) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.unwrap_or(0));
        rng.set_stream(fnv1a(&self.path));
        rng
    }
}

/// Uniform in `[0, 1)` with 53 bits.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform in `+-bound`.
fn within(bound: f64, rng: &mut ChaCha8Rng) -> f32 {
    (bound * (2.0 * uniform(rng) - 1.0)) as f32
}

/// Standard normal by Box and Muller; `libm` gives the same bits on every platform.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - uniform(rng)));
    radius * libm::cos(TAU * uniform(rng))
}

/// FNV-1a, 64 bits: a hash of names that no release of Rust changes.
fn fnv1a(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_depend_on_the_name_and_the_seed_alone() {
        let dev = Cpu::default();
        let draw = |rng: &InitRng| -> Tensor<Rank1<8>, f32, Cpu> { rng.kaiming_normal(&dev, 9) };
        let root = InitRng::new(7);
        let first = draw(&root.child("layer1").child("conv1")).array();
        draw(&root.child("layer2"));
        assert_eq!(first, draw(&root.child("layer1.conv1")).array());
        assert_ne!(first, draw(&root.child("layer1.conv2")).array());
        assert_ne!(first, draw(&InitRng::new(8).child("layer1.conv1")).array());
    }

    #[test]
    fn distributions_have_pytorchs_spread() {
        let dev = Cpu::default();
        let rng = InitRng::new(0);
        let n: Tensor<Rank1<20000>, f32, Cpu> = rng.kaiming_normal(&dev, 8);
        let std = n.as_vec().iter().map(|v| v * v).sum::<f32>() / 20000.0;
        assert!((std - 0.25).abs() < 0.01, "{std}");
        let u: Tensor<Rank1<20000>, f32, Cpu> = rng.kaiming_uniform(&dev, 16);
        assert!(u.as_vec().iter().all(|v| v.abs() <= 0.25));
        assert!(u.as_vec().iter().any(|v| *v > 0.2499));
    }
}
