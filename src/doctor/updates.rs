//! The optimisers' updates.

use dfdx::prelude::*;
use simsiam_model::Backend;
use simsiam_model::backend::{AdamWStep, LarsStep, SgdStep};

use super::noise;
use super::operations::{At, Operation, along};

/// What an update is made by.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    Sgd,
    Lars,
    AdamW,
}

/// An update of `n` values.
pub(super) struct Update {
    pub(super) rule: Rule,
    pub(super) n: usize,
    pub(super) seed: u64,
}

impl Operation for Update {
    const IN_SINGLE_PRECISION: bool = true;

    fn name(&self) -> String {
        let rule = match self.rule {
            Rule::Sgd => "sgd",
            Rule::Lars => "lars",
            Rule::AdamW => "adamw",
        };
        format!("{rule} {}", self.n)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let dev = at.dev;
        let tensor = |stream| dev.tensor_from_vec(noise(self.seed, stream, self.n), (self.n,));
        let (mut p, mut v): (Tensor<(usize,), f32, D>, _) = (tensor(1), tensor(2));
        let before = p.clone(); // must not change with it
        let mut squares = dev.tensor_from_vec(vec![0.25; self.n], (self.n,));
        let (learning_rate, momentum, weight_decay) = (0.05, 0.9, 1e-3);
        let sgd = SgdStep { learning_rate, momentum, weight_decay };
        let lars = LarsStep { learning_rate, momentum, weight_decay, trust: 0.5 };
        let adamw = AdamWStep {
            keep: 0.999,
            first: 0.1,
            second: 0.01,
            rate: learning_rate,
            root: 0.5,
            epsilon: 1e-8,
        };
        // The first update may give `p` storage of its own, the second changes that in place.
        for _ in 0..2 {
            let mut grads = along(p.leaky_trace(), self.seed);
            let updated = grads.get_or_alloc_mut(&p).and_then(|grad| match self.rule {
                Rule::Sgd => dev.sgd_update(&sgd, &mut p, &mut v, grad),
                Rule::Lars => dev.lars_update(&lars, &mut p, &mut v, grad),
                Rule::AdamW => dev.adamw_update(&adamw, &mut p, &mut v, &mut squares, grad),
            });
            updated.unwrap_or_else(|error| panic!("the device failed: {error}"));
        }
        vec![("p", p.as_vec()), ("v", v.as_vec()), ("p of a clone", before.as_vec())]
    }
}
