//! LARS and AdamW against PyTorch in float64 (`golden/make_optimizers.py`), and what a checkpoint keeps of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dfdx::prelude::*;
use serde_json::Value;
use simsiam_model::backend::cpu::Instructions;
use simsiam_model::collective::Ranks;
use simsiam_model::module::{NamedTensors, Visitor, VisitorMut};
use simsiam_model::optim::Rule;
use simsiam_model::state::{NamedTensor, StateError};
use simsiam_model::{AdamWConfig, LarsConfig, LearningRates, Optimizer, OptimizerConfig, SgdConfig};

const TOLERANCE: f64 = 1e-6;

/// A weight, a weight that begins at 0, and a bias.
#[derive(Clone)]
struct Parameters {
    weight: Tensor<Rank2<5, 7>, f32, Cpu>,
    zero: Tensor<Rank2<3, 4>, f32, Cpu>,
    bias: Tensor<Rank1<7>, f32, Cpu>,
}

impl NamedTensors<Cpu> for Parameters {
    fn visit(&self, _: &str, each: &mut Visitor<'_, Cpu>) {
        each("weight", true, &self.weight);
        each("zero", true, &self.zero);
        each("bias", true, &self.bias);
    }

    fn visit_mut(&mut self, _: &str, each: &mut VisitorMut<'_, Cpu>) -> Result<(), CpuError> {
        each("weight", true, &mut self.weight)?;
        each("zero", true, &mut self.zero)?;
        each("bias", true, &mut self.bias)
    }

    fn join(&mut self, _: &Ranks) {}
}

impl Parameters {
    fn new(golden: &Value) -> Self {
        let dev = Cpu::default();
        Self {
            weight: dev.tensor_from_vec(floats(&golden["weight"]), Default::default()),
            zero: dev.tensor_from_vec(floats(&golden["zero"]), Default::default()),
            bias: dev.tensor_from_vec(floats(&golden["bias"]), Default::default()),
        }
    }

    fn step<R: Rule<Cpu>>(&mut self, optimizer: &mut Optimizer<Cpu, R>, gradients: &Value, rate: f64) {
        let mut grads = Gradients::leaky();
        let gradient = |grads: &mut Gradients<f32, Cpu>, name: &str, tensor: &dyn HasGradient| {
            tensor.set(grads, floats(&gradients[name]));
        };
        gradient(&mut grads, "weight", &self.weight);
        gradient(&mut grads, "zero", &self.zero);
        gradient(&mut grads, "bias", &self.bias);
        optimizer.update(self, &mut grads, &LearningRates::all(rate as f32)).unwrap();
    }

    fn values(&self) -> [(&'static str, Vec<f32>); 3] {
        [("weight", self.weight.as_vec()), ("zero", self.zero.as_vec()), ("bias", self.bias.as_vec())]
    }
}

trait HasGradient {
    fn set(&self, grads: &mut Gradients<f32, Cpu>, values: Vec<f32>);
}

impl<S: Shape> HasGradient for Tensor<S, f32, Cpu> {
    fn set(&self, grads: &mut Gradients<f32, Cpu>, values: Vec<f32>) {
        let gradient = grads.get_or_alloc_mut(self).unwrap();
        gradient.clear();
        gradient.extend(values);
    }
}

#[test]
fn lars_agrees_with_its_papers() {
    agrees("lars", lars(&golden()["lars"]));
}

#[test]
fn adamw_agrees_with_pytorchs() {
    agrees("adamw", adamw(&golden()["adamw"]));
}

#[test]
fn what_a_checkpoint_keeps_goes_on_to_the_same_bits() {
    let golden = golden();
    for (name, config) in rules(&golden) {
        let (mut whole, mut optimizer) = (Parameters::new(&golden["initial"]), Optimizer::new(config));
        let (mut resumed, mut other) = (whole.clone(), Optimizer::new(config));
        for step in 0..6 {
            if step == 3 {
                resumed = whole.clone();
                other.import(&resumed, &optimizer.export()).unwrap();
            }
            for (parameters, optimizer) in [(&mut whole, &mut optimizer), (&mut resumed, &mut other)] {
                parameters.step(optimizer, &golden["gradients"][step], 0.01);
            }
        }
        assert_eq!(resumed.values(), whole.values(), "{name}");
        assert_eq!(other.export(), optimizer.export(), "{name}");
    }
}

#[test]
fn what_another_optimizer_has_kept_is_refused_by_its_name() {
    let golden = golden();
    let model = Parameters::new(&golden["initial"]);
    let kept = |config| -> Vec<NamedTensor> {
        let mut optimizer = Optimizer::new(config);
        model.clone().step(&mut optimizer, &golden["gradients"][0], 0.01);
        optimizer.export()
    };
    for (found, config) in rules(&golden) {
        for (expected, other) in rules(&golden).into_iter().filter(|(name, _)| *name != found) {
            let error = Optimizer::<Cpu>::new(other).import(&model, &kept(config)).unwrap_err();
            assert_eq!(error, StateError::OtherOptimizer { expected, found });
        }
    }
    let error = StateError::OtherOptimizer { expected: "lars", found: "sgd" }.to_string();
    assert_eq!(error, "the values are those of the optimizer sgd, not of lars");
}

#[test]
fn threads_and_instructions_do_not_change_a_bit() {
    for (name, config) in rules(&golden()) {
        let mut expected = None;
        for set in [Instructions::Scalar, Instructions::Avx2, Instructions::Avx512] {
            set.limit();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let found = pool.install(|| large_steps(config));
                let expected = expected.get_or_insert_with(|| found.clone());
                assert!(found == *expected, "{name}: {set:?}, {threads} threads");
            }
        }
    }
}

/// More values than one part of the work has.
struct Large(Tensor<Rank2<300, 401>, f32, Cpu>);

impl NamedTensors<Cpu> for Large {
    fn visit(&self, _: &str, each: &mut Visitor<'_, Cpu>) {
        each("weight", true, &self.0);
    }

    fn visit_mut(&mut self, _: &str, each: &mut VisitorMut<'_, Cpu>) -> Result<(), CpuError> {
        each("weight", true, &mut self.0)
    }

    fn join(&mut self, _: &Ranks) {}
}

/// The bits of the values after three steps.
fn large_steps(config: OptimizerConfig) -> Vec<u32> {
    let values = |seed: u32| -> Vec<f32> {
        (0..300 * 401u32).map(|i| f32::sin((i.wrapping_mul(2_654_435_761) ^ seed) as f32)).collect()
    };
    let weight = Cpu::default().tensor_from_vec(values(1), Default::default());
    let (mut model, mut optimizer) = (Large(weight), Optimizer::new(config));
    for step in 0..3 {
        let mut grads = Gradients::leaky();
        model.0.set(&mut grads, values(2 + step));
        optimizer.update(&mut model, &mut grads, &LearningRates::all(0.1)).unwrap();
    }
    model.0.as_vec().into_iter().map(f32::to_bits).collect()
}

fn rules(golden: &Value) -> [(&'static str, OptimizerConfig); 3] {
    [
        ("sgd", OptimizerConfig::Sgd(SgdConfig { momentum: 0.9, weight_decay: 1e-3 })),
        ("lars", OptimizerConfig::Lars(lars(&golden["lars"]))),
        ("adamw", OptimizerConfig::AdamW(adamw(&golden["adamw"]))),
    ]
}

fn lars(golden: &Value) -> LarsConfig {
    let number = |key: &str| golden[key].as_f64().unwrap() as f32;
    LarsConfig { momentum: number("momentum"), weight_decay: number("weight_decay"), trust: number("trust") }
}

fn adamw(golden: &Value) -> AdamWConfig {
    let number = |value: &Value| value.as_f64().unwrap();
    AdamWConfig {
        betas: (number(&golden["betas"][0]), number(&golden["betas"][1])),
        epsilon: number(&golden["epsilon"]) as f32,
        weight_decay: number(&golden["weight_decay"]),
    }
}

fn agrees<R: Rule<Cpu>>(name: &str, rule: R) {
    let golden = golden();
    let (mut parameters, mut optimizer) = (Parameters::new(&golden["initial"]), Optimizer::new(rule));
    let gradients = golden["gradients"].as_array().unwrap();
    for (step, gradients) in gradients.iter().enumerate() {
        let rate = golden[name]["rates"][step].as_f64().unwrap();
        parameters.step(&mut optimizer, gradients, rate);
        for (tensor, found) in parameters.values() {
            let expected = golden[name]["steps"][step][tensor].as_array().unwrap();
            assert_eq!(found.len(), expected.len());
            let expected: Vec<f64> = expected.iter().map(|value| value.as_f64().unwrap()).collect();
            let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(
                    error <= TOLERANCE * largest,
                    "{name}, step {step}, {tensor}: {found}, not {expected}"
                );
            }
        }
    }
}

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/optimizers.json")).unwrap()
}

fn floats(values: &Value) -> Vec<f32> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}
