//! How often the host waits for the device in a step of training.
//!
//! `SIMULATOR_WAITS=MOST` prints each step's waits, and ends the program at a step with more than `MOST`, from the third on.
//! A step ends where parameters begin to be updated. Only the thread that launches kernels counts.

use std::collections::BTreeMap;
use std::thread::{ThreadId, current};

use crate::memory::Fault;

/// Kernels that update parameters.
const UPDATES: [&str; 4] = ["sgd", "lars_squares", "lars", "adamw"];
/// A kernel of dfdx that may run between two of them: it gives a parameter memory of its own.
const BETWEEN_UPDATES: &str = "axpy_f32";
/// So many steps make what later ones use.
const FIRST: usize = 2;

/// The waits since the last update.
pub struct Waits {
    /// `None` where nobody asks.
    most: Option<usize>,
    computing: Option<ThreadId>,
    steps: usize,
    is_updating: bool,
    /// By the function that waited.
    counts: BTreeMap<&'static str, usize>,
}

impl Waits {
    pub fn new(most: Option<usize>) -> Self {
        Self { most, computing: None, steps: 0, is_updating: false, counts: BTreeMap::new() }
    }

    /// The host waits in a function.
    pub fn waited(&mut self, function: &'static str) {
        if self.computing == Some(current().id()) {
            *self.counts.entry(function).or_default() += 1;
        }
    }

    /// A kernel is launched.
    pub fn launched(&mut self, kernel: &str) -> Result<(), Fault> {
        self.computing = Some(current().id());
        let was_updating = self.is_updating;
        self.is_updating = UPDATES.contains(&kernel) || was_updating && kernel == BETWEEN_UPDATES;
        let Some(most) = self.most.filter(|_| self.is_updating && !was_updating) else { return Ok(()) };
        self.steps += 1;
        let counts = std::mem::take(&mut self.counts);
        let total: usize = counts.values().sum();
        let text = format!("step {}: the host waited {total} times {counts:?}", self.steps);
        if self.steps > FIRST && total > most {
            return Fault::new(format!("{text}, more than {most}"));
        }
        eprintln!("simulated GPU: {text}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step with so many waits.
    fn step(waits: &mut Waits, count: usize) -> Result<(), Fault> {
        waits.launched("forward")?;
        (0..count).for_each(|_| waits.waited("cuMemcpyDtoH"));
        // Two parameters, the second new.
        waits.launched("sgd")?;
        waits.launched(BETWEEN_UPDATES)?;
        waits.launched("sgd")
    }

    #[test]
    fn a_step_that_waits_too_often_ends_the_program() {
        let mut waits = Waits::new(Some(1));
        for count in [9, 9, 0, 1] {
            step(&mut waits, count).unwrap();
        }
        let Err(Fault(text)) = step(&mut waits, 2) else { panic!("it went on") };
        assert_eq!(text, "step 5: the host waited 2 times {\"cuMemcpyDtoH\": 2}, more than 1");
    }

    #[test]
    fn other_threads_may_wait() {
        let mut waits = Waits::new(Some(0));
        for _ in 0..4 {
            step(&mut waits, 0).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| waits.waited("cuEventSynchronize"));
            });
        }
    }
}
