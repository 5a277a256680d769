//! How long a run takes, from its first steps on.

use std::time::Instant;

use crate::config::TrainConfig;
use crate::console::{counted, duration, thousands};

/// After so many steps, or so many seconds, it is clear enough how long the run takes.
const STEPS: u64 = 5;
const SECONDS: f64 = 30.0;
/// From so many seconds on, what makes a run shorter is worth a word.
const LONG: f64 = 3600.0;

/// The time that steps and evaluations take.
pub(super) struct Pace {
    epochs: u64,
    steps_per_epoch: u64,
    knn_every: u64,
    /// The end of what was timed last.
    last: Instant,
    /// Steps of this process.
    steps: u64,
    first_s: f64,
    rest_s: f64,
    evaluation_s: f64,
}

impl Pace {
    /// Nothing is timed yet.
    pub(super) fn new(config: &TrainConfig, steps_per_epoch: u64) -> Self {
        Self {
            epochs: config.epochs,
            steps_per_epoch,
            knn_every: config.knn_every.unwrap_or(1),
            last: Instant::now(),
            steps: 0,
            first_s: 0.0,
            rest_s: 0.0,
            evaluation_s: 0.0,
        }
    }

    /// What went on until now is not to be timed.
    pub(super) fn restart(&mut self) {
        self.last = Instant::now();
    }

    /// An evaluation is over.
    pub(super) fn evaluated(&mut self) {
        self.evaluation_s = self.lap();
    }

    /// So many steps are over, the first on its own. Once, after the first few, what there is to say of the whole run,
    /// of which `step` steps are done.
    pub(super) fn stepped(&mut self, steps: u64, step: u64) -> Option<String> {
        let passed = self.first_s + self.rest_s;
        let is_told = self.steps >= STEPS || passed >= SECONDS;
        let seconds = self.lap();
        // The first step makes buffers, and waits for the first batch.
        *if self.steps == 0 { &mut self.first_s } else { &mut self.rest_s } += seconds;
        self.steps += steps;
        let is_clear = self.steps >= STEPS || passed + seconds >= SECONDS;
        (is_clear && !is_told).then(|| self.estimate(step))
    }

    /// Seconds until the end of the run, if a step takes `step_s`.
    pub(super) fn seconds_left(&self, step: u64, step_s: f64) -> f64 {
        let steps = (self.epochs * self.steps_per_epoch).saturating_sub(step);
        let done = step / self.steps_per_epoch;
        // One more after the last epoch, where that is no multiple.
        let evaluations = |epochs: u64| epochs.checked_div(self.knn_every).unwrap_or(0);
        let last = u64::from(self.epochs.checked_rem(self.knn_every).is_some_and(|rest| rest > 0));
        let evaluations = (evaluations(self.epochs) + last).saturating_sub(evaluations(done));
        steps as f64 * step_s + evaluations as f64 * self.evaluation_s
    }

    fn estimate(&self, step: u64) -> String {
        let step_s = if self.steps > 1 { self.rest_s / (self.steps - 1) as f64 } else { self.first_s };
        let seconds = self.seconds_left(step, step_s);
        let what = if step == self.steps { "the whole run" } else { "the rest of the run" };
        let steps = thousands(self.epochs * self.steps_per_epoch);
        let (time, epochs) = (duration(seconds), counted(self.epochs, "epoch"));
        let advice =
            if seconds < LONG { "" } else { "\n# fewer --epochs, a smaller --arch or less data take less" };
        format!("# {what} takes about {time}: {epochs}, {steps} steps at {step_s:.3} s{advice}")
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        (now - std::mem::replace(&mut self.last, now)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    fn pace(knn_every: u64) -> Pace {
        let config = TrainConfig { knn_every: Some(knn_every), ..TrainConfig::preset(Preset::Cifar10) };
        Pace::new(&config, 97)
    }

    #[test]
    fn days_are_said_once_and_what_makes_them_fewer() {
        let pace = Pace { steps: 5, first_s: 60.0, rest_s: 4.0 * 26.0, evaluation_s: 100.0, ..pace(1) };
        assert_eq!(
            pace.estimate(5),
            "# the whole run takes about 24 d 06 h: 800 epochs, 77,600 steps at 26.000 s\n\
             # fewer --epochs, a smaller --arch or less data take less"
        );
        assert!(pace.estimate(700).starts_with("# the rest of the run takes about "));
    }

    #[test]
    fn it_is_said_after_a_few_steps_or_a_long_one() {
        let mut fast = pace(1);
        let said: Vec<_> = (1..20).filter_map(|step| fast.stepped(1, step).map(|_| step)).collect();
        assert_eq!(said, [STEPS]);
        let mut slow = pace(1);
        slow.last -= std::time::Duration::from_secs(40);
        assert!(slow.stepped(1, 1).is_some_and(|text| text.contains("at 40.0")));
        assert_eq!(slow.stepped(1, 2), None);
    }

    #[test]
    fn evaluations_count_as_often_as_they_come() {
        let left = |knn_every, step| Pace { evaluation_s: 1.0, ..pace(knn_every) }.seconds_left(step, 0.0);
        assert_eq!([left(1, 0), left(1, 97), left(0, 0)], [800.0, 799.0, 0.0]);
        assert_eq!([left(300, 0), left(300, 97 * 300), left(300, 97 * 799)], [3.0, 2.0, 1.0]);
    }
}
