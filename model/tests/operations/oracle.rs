//! The operations as their formulas say, in f64 and without thought for speed.

use simsiam_model::backend::Conv2dGeometry;

/// Calls `f(x index, w index, y index)` for every product of a convolution over `batch` images.
fn for_each_product(g: &Conv2dGeometry, batch: usize, mut f: impl FnMut(usize, usize, usize)) {
    let at = |n: usize, c: usize, y: usize, x: usize, channels: usize, size: usize| {
        ((n * channels + c) * size + y) * size + x
    };
    for n in 0..batch {
        for o in 0..g.out_channels {
            for c in 0..g.in_channels {
                for (y, x) in square(g.out_size) {
                    for (ky, kx) in square(g.kernel) {
                        let source = |out: usize, k: usize| {
                            (out * g.stride + k).checked_sub(g.pad).filter(|i| *i < g.in_size)
                        };
                        if let (Some(sy), Some(sx)) = (source(y, ky), source(x, kx)) {
                            f(
                                at(n, c, sy, sx, g.in_channels, g.in_size),
                                ((o * g.in_channels + c) * g.kernel + ky) * g.kernel + kx,
                                at(n, o, y, x, g.out_channels, g.out_size),
                            );
                        }
                    }
                }
            }
        }
    }
}

fn square(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size * size).map(move |i| (i / size, i % size))
}

pub(crate) fn conv2d(g: &Conv2dGeometry, x: &[f64], w: &[f64]) -> Vec<f64> {
    let batch = x.len() / g.in_len();
    let mut y = vec![0.0; batch * g.out_len()];
    for_each_product(g, batch, |i, k, o| y[o] += x[i] * w[k]);
    y
}

/// `dL/dx` and `dL/dw`.
pub(crate) fn conv2d_backward(g: &Conv2dGeometry, x: &[f64], w: &[f64], grad_y: &[f64]) -> [Vec<f64>; 2] {
    let (mut grad_x, mut grad_w) = (vec![0.0; x.len()], vec![0.0; w.len()]);
    for_each_product(g, x.len() / g.in_len(), |i, k, o| {
        grad_x[i] += grad_y[o] * w[k];
        grad_w[k] += grad_y[o] * x[i];
    });
    [grad_x, grad_w]
}

/// Batch norm of `batch x channels x plane` with a residual and ReLU.
pub(crate) struct BatchNorm {
    pub(crate) channels: usize,
    pub(crate) plane: usize,
}

pub(crate) struct BatchNormOutput {
    pub(crate) y: Vec<f64>,
    pub(crate) mean: Vec<f64>,
    /// Biased.
    pub(crate) var: Vec<f64>,
}

pub(crate) struct BatchNormGradient {
    pub(crate) x: Vec<f64>,
    pub(crate) residual: Vec<f64>,
    pub(crate) scale: Vec<f64>,
    pub(crate) shift: Vec<f64>,
}

impl BatchNorm {
    const EPSILON: f64 = 1e-5;

    fn channel(&self, i: usize) -> usize {
        i / self.plane % self.channels
    }

    fn count(&self, len: usize) -> f64 {
        (len / self.channels) as f64
    }

    pub(crate) fn forward(
        &self,
        x: &[f64],
        scale: &[f64],
        shift: &[f64],
        residual: &[f64],
    ) -> BatchNormOutput {
        let (mut mean, mut var) = (vec![0.0; self.channels], vec![0.0; self.channels]);
        for (i, x) in x.iter().enumerate() {
            mean[self.channel(i)] += x;
        }
        mean.iter_mut().for_each(|mean| *mean /= self.count(x.len()));
        for (i, x) in x.iter().enumerate() {
            var[self.channel(i)] += (x - mean[self.channel(i)]).powi(2);
        }
        var.iter_mut().for_each(|var| *var /= self.count(x.len()));
        let value = |(i, x): (usize, &f64)| {
            let c = self.channel(i);
            let normal = (x - mean[c]) / (var[c] + Self::EPSILON).sqrt();
            (normal * scale[c] + shift[c] + residual[i]).max(0.0)
        };
        BatchNormOutput { y: x.iter().enumerate().map(value).collect(), mean, var }
    }

    pub(crate) fn backward(
        &self,
        x: &[f64],
        scale: &[f64],
        out: &BatchNormOutput,
        grad_y: &[f64],
    ) -> BatchNormGradient {
        let residual: Vec<f64> =
            grad_y.iter().zip(&out.y).map(|(grad, y)| if *y > 0.0 { *grad } else { 0.0 }).collect();
        let inv_std = |c: usize| 1.0 / (out.var[c] + Self::EPSILON).sqrt();
        let normal = |i: usize| (x[i] - out.mean[self.channel(i)]) * inv_std(self.channel(i));
        let (mut scale_grad, mut shift_grad) = (vec![0.0; self.channels], vec![0.0; self.channels]);
        for (i, grad) in residual.iter().enumerate() {
            scale_grad[self.channel(i)] += grad * normal(i);
            shift_grad[self.channel(i)] += grad;
        }
        let count = self.count(x.len());
        let grad_x = |(i, grad): (usize, &f64)| {
            let c = self.channel(i);
            scale[c] * inv_std(c) * (grad - shift_grad[c] / count - normal(i) * scale_grad[c] / count)
        };
        let x = residual.iter().enumerate().map(grad_x).collect();
        BatchNormGradient { x, residual, scale: scale_grad, shift: shift_grad }
    }
}

/// `x W^T + b` with `W` of `out x in`.
pub(crate) fn linear(x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let inputs = w.len() / b.len();
    let row =
        |x: &[f64]| -> Vec<f64> { w.chunks(inputs).zip(b).map(|(w, b)| b + super::dot(x, w)).collect() };
    x.chunks(inputs).flat_map(row).collect()
}

/// `-mean p . z / (|p| |z|)` over rows of `dim`.
pub(crate) fn negative_cosine(p: &[f64], z: &[f64], dim: usize) -> f64 {
    let norm = |v: &[f64]| super::dot(v, v).sqrt();
    let rows = p.chunks(dim).zip(z.chunks(dim));
    -rows.map(|(p, z)| super::dot(p, z) / (norm(p) * norm(z))).sum::<f64>() / (p.len() / dim) as f64
}
