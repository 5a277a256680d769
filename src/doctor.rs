//! Whether a machine is fit to train, and whether a device computes what the CPU does: each operation forward and backward on random
//! shapes, then training steps.

mod machine;
mod operations;

mod training;
mod updates;

use anyhow::Result;
use simsiam_model::Backend;
use simsiam_model::backend::{Format, cpu};
use simsiam_model::network::Networks;

pub use machine::{Check, Outcome, checks};
use operations::{At, Operation};
pub use training::Losses;

use crate::config::TrainConfig;
use crate::device::Work;

/// The largest error of an operation in single precision that passes.
pub const SINGLE_PRECISION: f64 = 1e-5;

/// What is to be compared.
pub struct Doctor<'a> {
    /// The network and the device.
    pub config: &'a TrainConfig,
    /// Training steps.
    pub steps: usize,
    /// The largest error that passes of an operation that may be in less than single precision.
    pub tolerance: f64,
    /// Called with each operation's result as soon as it is there.
    pub report: &'a mut dyn FnMut(&Compared),
}

/// One result of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The operation and its sizes.
    pub operation: String,
    /// Which of its results.
    pub result: &'static str,
    /// `|found - expected| / |expected|`, norms over all values.
    pub error: f64,
    /// Whether that is small enough.
    pub passes: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Diagnosis {
    /// Results that differ too much; losses that are no numbers count as one.
    pub failed: usize,
    /// The losses of the training steps.
    pub losses: Losses,
}

impl Work for Doctor<'_> {
    type Output = Diagnosis;

    fn run<D: Networks>(self, dev: &D) -> Result<Diagnosis> {
        let Self { config, steps, tolerance, report } = self;
        let mut failed = 0;
        let mut compare = |operation: &dyn Comparable<D>| -> Result<()> {
            for compared in operation.compare(dev, tolerance)? {
                failed += usize::from(!compared.passes);
                report(&compared);
            }
            Ok(())
        };
        operations::all(config.seed, &mut compare)?;
        let losses = training::losses(dev, config, steps)?;
        failed += usize::from(!losses.device.iter().all(|loss| loss.is_finite()));
        Ok(Diagnosis { failed, losses })
    }
}

/// An operation whose type is no longer known.
trait Comparable<D> {
    fn compare(&self, dev: &D, tolerance: f64) -> Result<Vec<Compared>>;
}

impl<O: Operation, D: Backend> Comparable<D> for O {
    fn compare(&self, dev: &D, tolerance: f64) -> Result<Vec<Compared>> {
        let rounded_to = dev.image_format();
        let tolerance = if O::IN_SINGLE_PRECISION { SINGLE_PRECISION } else { tolerance };
        let found = self.run(At { dev, format: rounded_to, rounded_to });
        let expected = cpu::in_precision(cpu::Precision::F32, |cpu| {
            self.run(At { dev: cpu, format: Format::F32, rounded_to })
        });
        let results = found.into_iter().zip(expected);
        let compared = results.map(|((result, found), (_, expected))| {
            let error = relative_error(&found, &expected);
            Compared { operation: self.name(), result, error, passes: error <= tolerance }
        });
        Ok(compared.collect())
    }
}

/// What is no number passes nowhere.
fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len(), "results have one shape");
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let differences = &mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b));
    let norm = square(&mut expected.iter().map(|value| f64::from(*value))).sqrt();
    square(differences).sqrt() / norm.max(f64::from(f32::MIN_POSITIVE))
}

/// Numbers between -1 and 1, a function of seed and stream.
fn noise(seed: u64, stream: u64, n: usize) -> Vec<f32> {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    (0..n).map(|_| (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfdx::prelude::Cpu;

    use crate::config::Preset;

    #[test]
    fn the_cpu_agrees_with_itself() {
        let config = TrainConfig { batch_size: 4, ..TrainConfig::preset(Preset::Demo) };
        let mut operations = std::collections::BTreeSet::new();
        let mut report = |compared: &Compared| {
            assert!(compared.passes && compared.error == 0.0, "{compared:?}");
            operations.insert(compared.operation.split(' ').next().unwrap_or_default().to_owned());
        };
        let doctor = Doctor { config: &config, steps: 3, tolerance: 0.0, report: &mut report };
        let diagnosis = doctor.run(&Cpu::default()).unwrap();
        assert_eq!(diagnosis.failed, 0);
        assert_eq!(diagnosis.losses.device, diagnosis.losses.cpu);
        assert_eq!(diagnosis.losses.cpu.len(), 3);
        let expected = [
            "adamw",
            "batch",
            "convolution",
            "cosine",
            "global",
            "lars",
            "linear",
            "max",
            "rows",
            "sgd",
            "views",
        ];
        assert!(operations.iter().map(String::as_str).eq(expected), "{operations:?}");
    }

    #[test]
    fn an_error_is_relative_and_nan_never_passes() {
        assert!((relative_error(&[3.0, 4.5], &[3.0, 4.0]) - 0.1).abs() < 1e-9);
        assert!(relative_error(&[f32::NAN], &[1.0]).is_nan());
        let nan_passes = relative_error(&[f32::NAN], &[1.0]) <= 1.0;
        assert!(!nan_passes);
    }
}
