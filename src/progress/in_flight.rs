//! Steps in flight: the device was asked for them, and nobody has read their measures.

use simsiam_model::methods::{Measured, Measures};
use simsiam_model::{Backend, LearningRates};

use super::StepReport;

/// A step whose measures are on the device.
pub struct StepInFlight<D: Backend> {
    /// What the host knows.
    pub report: StepReport,
    batches: Vec<BatchInFlight<D>>,
}

/// One batch of such a step.
struct BatchInFlight<D: Backend> {
    measures: Measures<D>,
    /// When the device had nothing to do but to wait for the batch, and when it had the batch.
    waited: [D::Moment; 2],
}

impl<D: Backend> StepInFlight<D> {
    /// The run's step of this number, from 1, at these rates; of no batch yet.
    pub fn new(step: u64, rates: LearningRates) -> Self {
        Self { report: StepReport::new(step, rates), batches: Vec::new() }
    }

    /// Adds a batch that the device waited for between two moments.
    pub fn add(&mut self, measures: Measures<D>, waited: [D::Moment; 2]) {
        self.batches.push(BatchInFlight { measures, waited });
    }
}

/// All steps in flight, oldest first.
///
/// To read a measure is to wait for the device, which then has nothing to do until it is asked for the next step. So
/// the measures of several steps are read at once.
pub struct InFlight<D: Backend> {
    steps: Vec<StepInFlight<D>>,
    most: usize,
}

impl<D: Backend> Default for InFlight<D> {
    /// None. The first step is read at once: it is the slowest, and the one most likely to fail.
    fn default() -> Self {
        Self { steps: Vec::new(), most: 1 }
    }
}

impl<D: Backend> InFlight<D> {
    /// So many steps are read at the latest, so that a divergence is noticed.
    const MOST: usize = if D::AHEAD { 64 } else { 1 };

    /// Adds a step.
    pub fn push(&mut self, step: StepInFlight<D>) {
        self.steps.push(step);
    }

    /// Whether they are to be read now.
    pub fn is_full(&self) -> bool {
        self.steps.len() >= self.most
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// If the device fails.
    pub fn read(&mut self) -> Result<Vec<StepReport>, D::Err> {
        self.most = Self::MOST;
        let steps = std::mem::take(&mut self.steps);
        let batches = steps.iter().flat_map(|step| &step.batches);
        let mut measured = Measures::read(batches.map(|batch| &batch.measures))?.into_iter();
        let report = |StepInFlight { mut report, batches }: StepInFlight<D>| {
            for BatchInFlight { waited: [idle, arrived], .. } in &batches {
                let Measured { loss, spreads } = measured.next().expect("as many as there are batches");
                report.loss += loss / batches.len() as f64;
                report.spreads.extend(spreads);
                report.waited += D::between(idle, arrived)?;
            }
            Ok(report)
        };
        steps.into_iter().map(report).collect()
    }
}
