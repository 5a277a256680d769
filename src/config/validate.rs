//! What values may be: each refusal names one setting, its value, and what is allowed.

use std::fmt::Display;

use simsiam_model::collective::FIXED_PARTS;

use super::{Device, HeadNorm, Method, Overrides, Precision, Predictor, StopRule, TrainConfig};
use crate::error::InputError;

impl TrainConfig {
    /// Refuses the first value that cannot be, by its flag or by the key of the file that `overrides` was read from.
    pub(super) fn validate(&self, overrides: &Overrides) -> Result<(), InputError> {
        let check = Check(overrides);
        let at_least_1 = [
            ("epochs", self.epochs),
            ("accumulate", self.accumulate),
            ("log_every", self.log_every),
            ("checkpoint_every", self.checkpoint_every),
            ("keep_checkpoints", self.keep_checkpoints as u64),
            ("knn_k", self.knn_k as u64),
        ];
        for (key, value) in at_least_1 {
            check.that(value >= 1, key, value, "must be at least 1")?;
        }
        // Steps and seconds of so many can be counted and written.
        let most = 1_000_000;
        check.that(self.epochs <= most, "epochs", self.epochs, &format!("must be at most {most}"))?;
        let Self { batch_size, projector_layers: layers, warmup_epochs: warmup, epochs, .. } = *self;
        check.that(
            batch_size >= 2,
            "batch_size",
            batch_size,
            "must be at least 2, for batch norm's variance",
        )?;
        check.that((2..=3).contains(&layers), "projector_layers", layers, "must be 2 or 3")?;
        check.that(
            warmup < epochs,
            "warmup_epochs",
            warmup,
            &format!("must be less than the run's epochs, {epochs}"),
        )?;
        for (key, value) in [("base_lr", self.base_lr), ("weight_decay", self.weight_decay)] {
            check.that(
                value.is_finite() && value >= 0.0,
                key,
                value,
                "must be a finite number, 0 or more",
            )?;
        }
        let Self { momentum, bad_sample_budget: budget, knn_temperature: temperature, .. } = *self;
        check.that((0.0..1.0).contains(&momentum), "momentum", momentum, "must be from 0 to less than 1")?;
        check.that((0.0..=1.0).contains(&budget), "bad_sample_budget", budget, "must be from 0 to 1")?;
        let is_positive = temperature.is_finite() && temperature > 0.0;
        check.that(is_positive, "knn_temperature", temperature, "must be above 0")?;
        let on_cpu = self.precision == Some(Precision::Tf32) && self.device == Device::Cpu;
        check.that(
            !on_cpu,
            "precision",
            "tf32",
            "must be f32 or bf16 with --device cpu; tf32 is for cuda",
        )?;
        self.recipe.validate().map_err(|error| match (&*error.field, overrides.reducing_gap) {
            ("reducing_gap", Some(gap)) => {
                overrides.refusal("reducing_gap", gap, &format!("must be 0 or {}", error.expected))
            }
            _ => overrides.refused_recipe(&format!(
                "recipe.{}: {}: must be {}",
                error.field, error.found, error.expected
            )),
        })?;
        if let Some((place, name)) = self.recipe.custom_steps().next() {
            return Err(InputError::new(format!(
                "recipe.{place}.custom: {name:?}: must be a built-in step here; steps of your own are for programs that embed the loader"
            )));
        }
        self.validate_sums(&check)?;
        self.validate_stop_rules(&check)?;
        self.validate_method(&check)?;
        self.validate_views()
    }

    /// Refuses an order of sums that the batch, the device or batch norm does not allow.
    fn validate_sums(&self, check: &Check<'_>) -> Result<(), InputError> {
        if !self.deterministic {
            return Ok(());
        }
        let parts = FIXED_PARTS;
        check.that(
            self.batch_size.is_multiple_of(parts),
            "batch_size",
            self.batch_size,
            &format!(
                "must be a multiple of {parts} with --deterministic, which adds up {parts} parts of a batch"
            ),
        )?;
        check.that(
            self.sync_bn,
            "sync_bn",
            "false",
            "must be true with --deterministic, or each number of ranks would have its own",
        )?;
        check.that(self.device == Device::Cpu, "device", "cuda", "must be cpu with --deterministic")
    }

    /// Refuses rules that can never hold.
    fn validate_stop_rules(&self, check: &Check<'_>) -> Result<(), InputError> {
        let (rules, evaluations) = (&self.stop_when, self.evaluations());
        for rule in rules.iter().filter(|rule| **rule != StopRule::Never) {
            check.that(
                self.knn_every != Some(0),
                "stop_when",
                rule,
                "must be left out with --knn-every 0, which evaluates nothing",
            )?;
            let is_reached = !matches!(rule, StopRule::Stale(least) if *least > evaluations);
            let allowed = format!(
                "must be at most {evaluations} evaluations, which are all after the first in {} epochs",
                self.epochs
            );
            check.that(is_reached, "stop_when", rule, &allowed)?;
        }
        let is_alone = rules.len() == 1 || !rules.contains(&StopRule::Never);
        check.that(is_alone, "stop_when", StopRule::Never, "must stand without other rules")
    }

    /// Refuses what the method has not got, and what contradicts itself.
    fn validate_method(&self, check: &Check<'_>) -> Result<(), InputError> {
        let Self { method, batch_size, projector_dim, .. } = self;
        let given = check.0;
        let usual = Self::preset(self.preset).for_method(self.method);
        // What a file repeats of the method's own values, as a run's does, changes nothing.
        let is_set = |key: &str, is_usual: Option<bool>| {
            is_usual.is_some_and(|is_usual| !(is_usual && given.is_of_file(key)))
        };
        let usual_predictor_lr = given.predictor_lr.map(|lr| lr == usual.predictor_lr);
        let sets_predictor_lr = is_set("predictor_lr", usual_predictor_lr);
        let of_some_methods = [
            ("stop_gradient", given.stop_gradient.map(|stops| stops == usual.stop_gradient)),
            ("predictor", given.predictor.map(|predictor| predictor == usual.predictor)),
            ("predictor_lr", usual_predictor_lr),
            ("similarity", given.similarity.map(|similarity| similarity == usual.similarity)),
            ("multi_crop", given.multi_crop.filter(|crops| *crops).map(|_| false)),
            ("symmetry", given.symmetry.filter(|symmetry| *symmetry != usual.symmetry).map(|_| false)),
            ("target", given.target.map(|target| target == usual.target)),
            ("target_momentum", given.target_momentum.map(|_| false)),
            ("alternate_steps", given.alternate_steps.map(|_| false)),
            ("projector_dim", given.projector_dim.map(|dim| dim == usual.projector_dim)),
            ("temperature", given.temperature.map(|_| false)),
            ("queue", given.queue.map(|_| false)),
        ];
        let flag = |key: &str| format!("--{}", key.replace('_', "-"));
        for (key, is_usual) in of_some_methods {
            if is_set(key, is_usual) && !method.takes().contains(&key) {
                let others = Method::ALL.iter().filter(|method| method.takes().contains(&key));
                let others: Vec<_> = others.map(|method| method.name()).collect();
                return refuse(format!(
                    "{} has no effect with {method}; it is a setting of {}",
                    flag(key),
                    others.join(", ")
                ));
            }
        }
        let has_predictor = method.takes().contains(&"predictor_lr") && self.predictor != Predictor::None;
        if sets_predictor_lr && !has_predictor {
            return refuse("--predictor-lr without a predictor");
        }
        if self.predictor == Predictor::FixedRandom && sets_predictor_lr {
            return refuse("--predictor-lr with a fixed predictor, which has no rate");
        }
        if self.mlp_bn == HeadNorm::All && !has_predictor {
            return refuse("--mlp-bn all is about the predictor's output, but there is no predictor");
        }
        if let Err(reason) = method.check(&self.settings(0, 1)) {
            return refuse(reason);
        }
        let compiled = method.dims();
        let allowed = format!("must be one of {compiled:?}, which were compiled");
        check.that(compiled.contains(projector_dim), "projector_dim", projector_dim, &allowed)?;
        self.validate_own_settings()?;
        if let Some(temperature) = self.temperature {
            let fits = (0.02..=100.0).contains(&temperature);
            check.that(fits, "temperature", temperature, "must be from 0.02 to 100")?;
        }
        if let Some(momentum) = self.target_momentum {
            let fits = (0.0..=1.0).contains(&momentum);
            check.that(fits, "target_momentum", momentum, "must be from 0 to 1")?;
        }
        if let Some(queue) = self.queue {
            let allowed = format!("must be from a batch ({batch_size} keys) to 2^24");
            check.that((*batch_size..=1 << 24).contains(&queue), "queue", queue, &allowed)?;
        }
        Ok(())
    }

    /// Refuses numbers that the method is not set by, and those out of range.
    fn validate_own_settings(&self) -> Result<(), InputError> {
        let own = self.method.own_settings();
        for (key, value) in &self.method_settings {
            let Some(setting) = own.iter().find(|own| own.key == key) else {
                let known: Vec<String> =
                    own.iter().map(|own| format!("{} ({}, {})", own.key, own.about, own.default)).collect();
                let known = if known.is_empty() {
                    "has no settings of its own".into()
                } else {
                    format!("has no such setting; it has: {}", known.join("; "))
                };
                return refuse(format!("--method-setting {key}: {} {known}", self.method));
            };
            let (least, most) = setting.range;
            if !(least..=most).contains(value) {
                return refuse(format!("--method-setting {key}={value}: must be from {least} to {most}"));
            }
        }
        Ok(())
    }
}

/// Refusals in the name of what was given.
struct Check<'a>(&'a Overrides);

impl Check<'_> {
    fn that(&self, holds: bool, key: &str, value: impl Display, allowed: &str) -> Result<(), InputError> {
        if holds { Ok(()) } else { Err(self.0.refusal(key, value, allowed)) }
    }
}

fn refuse(reason: impl Into<String>) -> Result<(), InputError> {
    Err(InputError::new(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(overrides: Overrides) -> String {
        TrainConfig::resolve(&overrides).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_one_flag_its_value_and_what_is_allowed() {
        let none = Overrides::default;
        for (overrides, expected) in [
            (Overrides { epochs: Some(0), ..none() }, "--epochs 0: must be at least 1"),
            (
                Overrides { epochs: Some(1 << 62), ..none() },
                "--epochs 4611686018427387904: must be at most 1000000",
            ),
            (Overrides { keep_checkpoints: Some(0), ..none() }, "--keep-checkpoints 0: must be at least 1"),
            (
                Overrides { batch_size: Some(1), ..none() },
                "--batch-size 1: must be at least 2, for batch norm's variance",
            ),
            (Overrides { base_lr: Some(-1.0), ..none() }, "--base-lr -1: must be a finite number, 0 or more"),
            (
                Overrides { weight_decay: Some(f64::INFINITY), ..none() },
                "--weight-decay inf: must be a finite number, 0 or more",
            ),
            (Overrides { momentum: Some(1.0), ..none() }, "--momentum 1: must be from 0 to less than 1"),
            (Overrides { knn_temperature: Some(0.0), ..none() }, "--knn-temperature 0: must be above 0"),
            (
                Overrides { warmup_epochs: Some(12), ..none() },
                "--warmup-epochs 12: must be less than the run's epochs, 12",
            ),
            (
                Overrides { deterministic: Some(true), batch_size: Some(60), ..none() },
                "--batch-size 60: must be a multiple of 8 with --deterministic, which adds up 8 parts of a batch",
            ),
            (
                Overrides { deterministic: Some(true), sync_bn: Some(false), ..none() },
                "--sync-bn false: must be true with --deterministic, or each number of ranks would have its own",
            ),
            (
                Overrides { deterministic: Some(true), device: Some(Device::Cuda), ..none() },
                "--device cuda: must be cpu with --deterministic",
            ),
            (Overrides { reducing_gap: Some(0.5), ..none() }, "--reducing-gap 0.5: must be 0 or 1 to 1000"),
            (
                Overrides { projector_dim: Some(7), ..none() },
                "--projector-dim 7: must be one of [256, 512, 1024, 2048], which were compiled",
            ),
            (
                Overrides { method: Some(Method::MoCoV2), queue: Some(3), ..none() },
                "--queue 3: must be from a batch (64 keys) to 2^24",
            ),
            (
                Overrides { stop_when: Some(vec![StopRule::Knn(55.0)]), knn_every: Some(0), ..none() },
                "--stop-when knn>=55: must be left out with --knn-every 0, which evaluates nothing",
            ),
            (
                Overrides { stop_when: Some(vec![StopRule::Stale(4)]), knn_every: Some(5), ..none() },
                "--stop-when stale 4: must be at most 3 evaluations, which are all after the first in 12 epochs",
            ),
            (
                Overrides { stop_when: Some(vec![StopRule::Never, StopRule::Stale(4)]), ..none() },
                "--stop-when never: must stand without other rules",
            ),
        ] {
            assert_eq!(refusal(overrides), expected);
        }
    }

    #[test]
    fn a_value_of_a_file_is_refused_by_its_key_and_a_flag_over_it_by_the_flag() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.toml");
        std::fs::write(&path, "epochs = 0\nmomentum = 2\n").unwrap();
        let of_file = Overrides::from_file(&path).unwrap();
        let expected = format!("configuration {}: epochs = 0: must be at least 1", path.display());
        assert_eq!(refusal(of_file.clone()), expected);
        std::fs::write(&path, "seed = 9223372036854775808\n").unwrap();
        let error = Overrides::from_file(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("seed = 9223372036854775808: must be at most 9223372036854775807"),
            "{error}"
        );
        let flags = Overrides { epochs: Some(3), momentum: Some(1.5), ..Overrides::default() };
        assert_eq!(refusal(flags.over(&of_file)), "--momentum 1.5: must be from 0 to less than 1");
    }
}
