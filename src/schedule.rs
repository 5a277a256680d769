//! The learning rate at each step.

use simsiam_model::LearningRates;

use crate::config::{Predictor, PredictorLr, TrainConfig};

/// Linear scaling, linear warm-up, cosine to zero; updated every step.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    base: f64,
    warmup_steps: u64,
    total_steps: u64,
    predictor: PredictorRate,
    /// SwAV's prototypes are not trained before this step.
    prototypes_from: u64,
}

#[derive(Clone, Copy, Debug)]
enum PredictorRate {
    Constant,
    Decayed,
    Zero,
}

impl Schedule {
    /// The schedule of a whole run.
    pub fn new(config: &TrainConfig, steps_per_epoch: u64) -> Self {
        Self {
            base: config.base_lr * config.images_per_step() / 256.0,
            warmup_steps: config.warmup_epochs * steps_per_epoch,
            total_steps: config.epochs * steps_per_epoch,
            predictor: match (config.predictor, config.predictor_lr) {
                (Predictor::FixedRandom, _) => PredictorRate::Zero,
                (_, PredictorLr::Constant) => PredictorRate::Constant,
                (_, PredictorLr::Decay) => PredictorRate::Decayed,
            },
            prototypes_from: if config.method.prototypes_rest_at_first() { steps_per_epoch } else { 0 },
        }
    }

    /// The rates at `step`, counted over the whole run.
    pub fn at(&self, step: u64) -> LearningRates {
        let base = if step < self.warmup_steps {
            self.base * (step + 1) as f64 / self.warmup_steps as f64
        } else {
            let progress =
                (step - self.warmup_steps) as f64 / (self.total_steps - self.warmup_steps).max(1) as f64;
            self.base * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress))
        };
        let predictor = match self.predictor {
            PredictorRate::Constant => self.base,
            PredictorRate::Decayed => base,
            PredictorRate::Zero => 0.0,
        };
        let prototypes = if step < self.prototypes_from { 0.0 } else { base };
        LearningRates { base: base as f32, predictor: predictor as f32, prototypes: prototypes as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Method, Preset};

    fn schedule(change: impl FnOnce(&mut TrainConfig)) -> Schedule {
        let mut config = TrainConfig { epochs: 10, batch_size: 512, ..TrainConfig::preset(Preset::Imagenet) };
        change(&mut config);
        Schedule::new(&config, 100)
    }

    #[test]
    fn the_rate_falls_as_a_cosine_and_the_predictor_stays() {
        let schedule = schedule(|_| ());
        assert_eq!(schedule.at(0), LearningRates::all(0.1));
        assert!((schedule.at(500).base - 0.05).abs() < 1e-7);
        assert!(schedule.at(999).base < 1e-6);
        assert_eq!(schedule.at(999).predictor, 0.1);
    }

    #[test]
    fn the_rate_follows_the_images_of_an_update() {
        let rate = |accumulate| schedule(|config| config.accumulate = accumulate).at(0).base;
        assert_eq!((rate(1), rate(4)), (0.1, 0.4));
    }

    #[test]
    fn a_fixed_predictor_and_prototypes_in_their_first_epoch_have_no_rate() {
        let fixed = schedule(|config| config.predictor = Predictor::FixedRandom);
        assert_eq!((fixed.at(3).predictor, fixed.at(3).base > 0.0), (0.0, true));
        let swav = schedule(|config| config.method = Method::SwAv);
        assert_eq!([99, 100].map(|step| swav.at(step).prototypes > 0.0), [false, true]);
    }

    #[test]
    fn the_predictor_can_decay_and_the_rate_can_warm_up() {
        let decayed = schedule(|config| config.predictor_lr = PredictorLr::Decay).at(700);
        assert_eq!(decayed.base, decayed.predictor);
        let warm = schedule(|config| config.warmup_epochs = 2);
        assert!((warm.at(99).base - 0.05).abs() < 1e-7);
        assert!((warm.at(199).base - 0.1).abs() < 1e-7);
        assert!((warm.at(200).base - 0.1).abs() < 1e-7);
    }
}
