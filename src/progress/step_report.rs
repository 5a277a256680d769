//! What the loop tells of a step.

use std::time::Duration;

use simsiam_model::LearningRates;
use simsiam_model::objective::Spread;

/// One training step, as the loop saw it.
pub struct StepReport {
    /// Its number, from 1.
    pub step: u64,
    /// The mean loss of the step's batches.
    pub loss: f64,
    /// How each view's outputs spread, batch after batch.
    pub spreads: Vec<Spread>,
    /// What the loss would be if all outputs were the same, where it tells.
    pub equal_loss: Option<f64>,
    /// Top-1 of the online probe on each batch, in percent.
    pub probe_top1: Vec<f64>,
    /// The learning rates used.
    pub rates: LearningRates,
    /// Images in its batches.
    pub images: usize,
    /// Time spent waiting for the batches.
    pub waited: Duration,
    /// The norm of each parameter tensor's gradient, where that was asked for.
    pub gradient_norms: Vec<f64>,
}

impl StepReport {
    /// A step at these rates, of no batch yet.
    pub(super) fn new(step: u64, rates: LearningRates) -> Self {
        Self {
            step,
            loss: 0.0,
            spreads: Vec::new(),
            equal_loss: None,
            probe_top1: Vec::new(),
            rates,
            images: 0,
            waited: Duration::ZERO,
            gradient_norms: Vec::new(),
        }
    }
}
