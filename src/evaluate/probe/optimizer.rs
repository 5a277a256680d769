//! SGD with momentum, and LARS on top of it.

use super::head::Head;
use super::recipe::{ProbeOptimizer, ProbeRecipe};

/// LARS's trust coefficient, as in the released code.
const TRUST: f64 = 0.001;
/// Keeps LARS's ratio finite.
const EPSILON: f64 = 1e-8;

/// Turns gradients into steps.
#[derive(Clone, Debug)]
pub struct Optimizer {
    kind: ProbeOptimizer,
    momentum: f32,
    velocity: Head,
}

impl Optimizer {
    /// Without velocity yet.
    pub fn new(recipe: &ProbeRecipe, head: &Head) -> Self {
        Self { kind: recipe.optimizer, momentum: recipe.momentum, velocity: head.zeros_like() }
    }

    /// The velocity of each weight.
    pub fn velocity(&self) -> &Head {
        &self.velocity
    }

    /// The velocity, to go on from another.
    pub fn velocity_mut(&mut self) -> &mut Head {
        &mut self.velocity
    }

    /// One step: `v <- momentum v + ratio g`, `w <- w - lr v`, as PyTorch writes it. The ratio is 1 for SGD; for LARS (You
    /// et al. 2017, no clipping, no weight decay) it is `trust |w| / |g|`, for weight and bias each.
    pub fn update(&mut self, head: &mut Head, gradient: Head, lr: f32) {
        let weight = (&mut head.weight, gradient.weight, &mut self.velocity.weight);
        let bias = (&mut head.bias, gradient.bias, &mut self.velocity.bias);
        for (parameter, gradient, velocity) in [weight, bias] {
            let ratio = match self.kind {
                ProbeOptimizer::Sgd => 1.0,
                ProbeOptimizer::Lars => trust_ratio(parameter, &gradient),
            };
            for ((w, g), v) in parameter.iter_mut().zip(gradient).zip(velocity) {
                *v = self.momentum * *v + ratio * g;
                *w -= lr * *v;
            }
        }
    }
}

/// 1 where either is all zeros, as the bias is at first.
fn trust_ratio(parameter: &[f32], gradient: &[f32]) -> f32 {
    let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let (parameter, gradient) = (norm(parameter), norm(gradient));
    if parameter == 0.0 || gradient == 0.0 { 1.0 } else { (TRUST * parameter / (gradient + EPSILON)) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(weight: [f32; 2], bias: f32) -> Head {
        let mut head = Head::new(2, 1, 0);
        (head.weight, head.bias) = (weight.to_vec(), vec![bias]);
        head
    }

    fn close(found: &Head, expected: &Head) -> bool {
        let values = |head: &Head| [&head.weight[..], &head.bias[..]].concat();
        values(found).iter().zip(values(expected)).all(|(a, b)| (a - b).abs() < 1e-6 * b.abs().max(1.0))
    }

    #[test]
    fn two_steps_of_sgd_by_hand() {
        let mut parameters = head([1.0, 2.0], 0.5);
        let mut sgd = Optimizer::new(&ProbeRecipe::sgd(), &parameters);
        sgd.update(&mut parameters, head([1.0, -1.0], 2.0), 0.1);
        assert!(close(&parameters, &head([0.9, 2.1], 0.3)), "{parameters:?}");
        // Velocities: 0.9 * (1, -1, 2) + (1, 1, 0) = (1.9, 0.1, 1.8).
        sgd.update(&mut parameters, head([1.0, 1.0], 0.0), 0.1);
        assert!(close(&parameters, &head([0.71, 2.09], 0.12)), "{parameters:?}");
    }

    #[test]
    fn two_steps_of_lars_by_hand() {
        let mut parameters = head([3.0, 4.0], 0.0);
        let mut lars = Optimizer::new(&ProbeRecipe::lars(), &parameters);
        // |w| = 5 and |g| = 10 give a ratio of 0.0005; a bias of 0 is not scaled.
        lars.update(&mut parameters, head([6.0, 8.0], 2.0), 10.0);
        assert!(close(&parameters, &head([3.0 - 0.03, 4.0 - 0.04], -20.0)), "{parameters:?}");
        // |w| = 4.95, |g| = 1: ratio 0.00495, v = 0.9 * (0.003, 0.004) + (0.00495, 0). Bias: |b| / |g| = 5, ratio 0.005,
        // v = 0.9 * 2 + 0.02 = 1.82.
        lars.update(&mut parameters, head([1.0, 0.0], 4.0), 10.0);
        assert!(close(&parameters, &head([2.97 - 0.0765, 3.96 - 0.036], -38.2)), "{parameters:?}");
    }

    #[test]
    fn nothing_moves_without_a_gradient() {
        let mut parameters = head([3.0, 4.0], 1.0);
        Optimizer::new(&ProbeRecipe::lars(), &parameters).update(&mut parameters, head([0.0; 2], 0.0), 10.0);
        assert_eq!(parameters, head([3.0, 4.0], 1.0));
    }
}
