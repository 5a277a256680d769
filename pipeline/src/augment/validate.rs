//! Checks of a recipe's values.

use std::fmt;

use thiserror::Error;

use super::params::JitterOp;
use super::{ColorJitter, Crop, GaussianBlur, Recipe, Step, Views};

impl Recipe {
    /// Checks that every value is one that the operations can work with.
    ///
    /// # Errors
    /// The first field that is not, with its value and what is allowed.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let Self { size, reducing_gap, mean, std, .. } = self;
        let check = Check::default();
        check.value("size", size, (1..=4096).contains(size), "1 to 4096")?;
        if self.views.is_empty() {
            self.validate_fields(&check)?
        } else {
            self.validate_views()?
        }
        if let Some(gap) = reducing_gap {
            check.value("reducing_gap", gap, (1.0..=1e3).contains(gap), "1 to 1000")?;
        }
        let is_finite = mean.iter().all(|m| m.is_finite());
        check.value("mean", &format_args!("{mean:?}"), is_finite, "finite numbers")?;
        let divides = |s: &f32| s.is_finite() && *s > 0.0;
        check.value("std", &format_args!("{std:?}"), std.iter().all(divides), "numbers above 0")
    }

    fn validate_fields(&self, check: &Check) -> Result<(), RecipeError> {
        let Self { crop, color_jitter, grayscale_p, blur, flip_p, .. } = self;
        match crop {
            Some(crop) => crop.validate(&check.at("crop"), self.size)?,
            None => check.value(
                "crop",
                &"none",
                false,
                "random_resized or resize_center, or a list of `views`",
            )?,
        }
        if let Some(jitter) = color_jitter {
            jitter.validate(&check.at("color_jitter"))?;
        }
        check.probability("grayscale_p", *grayscale_p)?;
        if let Some(blur) = blur {
            blur.validate(&check.at("blur"))?;
        }
        check.probability("flip_p", *flip_p)
    }

    fn validate_views(&self) -> Result<(), RecipeError> {
        let beside = [
            ("crop", self.crop.is_some()),
            ("color_jitter", self.color_jitter.is_some()),
            ("grayscale_p", self.grayscale_p != 0.0),
            ("blur", self.blur.is_some()),
            ("flip_p", self.flip_p != 0.0),
        ];
        for (field, is_there) in beside {
            Check::default().value(
                field,
                &"beside `views`",
                !is_there,
                "a step of the views that it is for",
            )?;
        }
        for (group, Views { count, size, steps }) in self.views.iter().enumerate() {
            let check = Check::default().at(&format!("views[{group}]"));
            check.value("count", count, (1..=64).contains(count), "1 to 64")?;
            let size = size.unwrap_or(self.size);
            check.value("size", &size, (1..=4096).contains(&size), "1 to 4096")?;
            for (number, step) in steps.iter().enumerate() {
                let kind = if matches!(step, Step::Custom(_)) { "custom" } else { step.name() };
                let check = check.at(&format!("steps[{number}].{kind}"));
                step.validate(&check, size)?;
            }
            let is_crop = |step: &Step| matches!(step, Step::Crop(_));
            let crops_once = steps.first().is_some_and(is_crop) && !steps.iter().skip(1).any(is_crop);
            let names: Vec<&str> = steps.iter().map(Step::name).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            check.value("steps", &names, crops_once, "a crop first, and no other")?;
        }
        Ok(())
    }
}

impl Crop {
    pub(super) fn validate(&self, check: &Check, size: usize) -> Result<(), RecipeError> {
        match self {
            Self::RandomResized { scale, ratio, .. } => {
                check.range("scale", *scale, f64::MIN_POSITIVE, 1.0, "0 < min <= max <= 1")?;
                check.range("ratio", *ratio, 1e-3, 1e3, "0.001 <= min <= max <= 1000")
            }
            Self::ResizeCenter { resize, .. } => {
                let allowed = (size..=16_384).contains(resize);
                check.value("resize", resize, allowed, "at least the size, at most 16384")
            }
        }
    }
}

impl ColorJitter {
    pub(super) fn validate(&self, check: &Check) -> Result<(), RecipeError> {
        let Self { p, brightness, contrast, saturation, hue, order } = self;
        check.probability("p", *p)?;
        for (field, strength) in
            [("brightness", brightness), ("contrast", contrast), ("saturation", saturation)]
        {
            check.value(field, strength, (0.0..=10.0).contains(strength), "0 to 10")?;
        }
        check.value("hue", hue, (0.0..=0.5).contains(hue), "0 to 0.5")?;
        let is_there = |op: &JitterOp| order.is_none_or(|order| order.contains(op));
        let all = JitterOp::ALL.iter().all(is_there);
        check.value("order", &format_args!("{order:?}"), all, "each of the four changes once")
    }
}

impl GaussianBlur {
    pub(super) fn validate(&self, check: &Check) -> Result<(), RecipeError> {
        check.probability("p", self.p)?;
        check.range("sigma", self.sigma, 0.0, 100.0, "0 <= min <= max <= 100")
    }
}

/// Checks of values, which say where in the recipe they stand.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// The path of what is checked, with a dot at its end.
    path: String,
}

impl Check {
    fn at(&self, field: &str) -> Self {
        Self { path: format!("{}{field}.", self.path) }
    }

    pub(super) fn probability(&self, field: &str, p: f64) -> Result<(), RecipeError> {
        self.value(field, &p, (0.0..=1.0).contains(&p), "a probability, 0 to 1")
    }

    pub(super) fn range(
        &self,
        field: &str,
        (min, max): (f64, f64),
        low: f64,
        high: f64,
        expected: &'static str,
    ) -> Result<(), RecipeError> {
        let holds = low <= min && min <= max && max <= high;
        self.value(field, &format_args!("{min} to {max}"), holds, expected)
    }

    pub(super) fn value(
        &self,
        field: &str,
        found: &dyn fmt::Display,
        holds: bool,
        expected: &'static str,
    ) -> Result<(), RecipeError> {
        let path = &self.path;
        if holds {
            return Ok(());
        }
        Err(RecipeError { field: format!("{path}{field}"), found: found.to_string(), expected })
    }
}

/// A field of a [`Recipe`] with a value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("augmentation {field}: {found}, expected {expected}")]
pub struct RecipeError {
    /// Path of the field inside the recipe, such as `color_jitter.hue` or `views[1].steps[2].solarize.threshold`.
    pub field: String,
    /// The value that was found.
    pub found: String,
    /// What is allowed.
    pub expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{Chance, Interpolation, NamedStep};

    #[test]
    fn senseless_values_are_named() {
        let good = Recipe::imagenet();
        let jitter = good.color_jitter.unwrap();
        let interpolation = Interpolation::Bilinear;
        let crop = |scale, ratio| Recipe {
            crop: Some(Crop::RandomResized { scale, ratio, interpolation }),
            ..good.clone()
        };
        let crop_step = Step::Crop(Crop::ResizeCenter { resize: 224, interpolation });
        let plain = good.evaluation();
        let of_size = |size, steps| Recipe {
            crop: None,
            views: vec![Views { count: 1, size, steps }],
            ..plain.clone()
        };
        let views = |steps| of_size(None, steps);
        for (bad, message) in [
            (Recipe { size: 0, ..good.clone() }, "augmentation size: 0, expected 1 to 4096"),
            (
                Recipe { flip_p: 1.5, ..good.clone() },
                "augmentation flip_p: 1.5, expected a probability, 0 to 1",
            ),
            (
                Recipe { grayscale_p: f64::NAN, ..good.clone() },
                "augmentation grayscale_p: NaN, expected a probability, 0 to 1",
            ),
            (
                crop((0.5, 0.2), (0.75, 1.33)),
                "augmentation crop.scale: 0.5 to 0.2, expected 0 < min <= max <= 1",
            ),
            (crop((0.0, 1.0), (0.75, 1.33)), "augmentation crop.scale: 0 to 1, expected 0 < min <= max <= 1"),
            (
                crop((0.2, 1.0), (0.0, 1.0)),
                "augmentation crop.ratio: 0 to 1, expected 0.001 <= min <= max <= 1000",
            ),
            (
                Recipe { crop: Some(Crop::ResizeCenter { resize: 100, interpolation }), ..good.clone() },
                "augmentation crop.resize: 100, expected at least the size, at most 16384",
            ),
            (
                Recipe { color_jitter: Some(ColorJitter { hue: 0.6, ..jitter }), ..good.clone() },
                "augmentation color_jitter.hue: 0.6, expected 0 to 0.5",
            ),
            (
                Recipe { color_jitter: Some(ColorJitter { contrast: -0.1, ..jitter }), ..good.clone() },
                "augmentation color_jitter.contrast: -0.1, expected 0 to 10",
            ),
            (
                Recipe { blur: Some(GaussianBlur { p: 0.5, sigma: (2.0, 0.1) }), ..good.clone() },
                "augmentation blur.sigma: 2 to 0.1, expected 0 <= min <= max <= 100",
            ),
            (
                Recipe { reducing_gap: Some(0.5), ..good.clone() },
                "augmentation reducing_gap: 0.5, expected 1 to 1000",
            ),
            (
                Recipe { std: [1.0, 0.0, 1.0], ..good.clone() },
                "augmentation std: [1.0, 0.0, 1.0], expected numbers above 0",
            ),
            (
                Recipe { crop: None, ..good.clone() },
                "augmentation crop: none, expected random_resized or resize_center, or a list of `views`",
            ),
            (
                Recipe { flip_p: 0.5, ..good.byol() },
                "augmentation flip_p: beside `views`, expected a step of the views that it is for",
            ),
            (
                views(vec![crop_step.clone(), Step::Solarize { p: 1.0, threshold: 300.0 }]),
                "augmentation views[0].steps[1].solarize.threshold: 300, expected 0 to 256",
            ),
            (
                views(vec![crop_step.clone(), Step::Custom(NamedStep { name: String::new(), p: 1.0 })]),
                "augmentation views[0].steps[1].custom.name: \"\", expected the name of a step of your own",
            ),
            (
                views(vec![Step::Invert(Chance { p: 2.0 })]),
                "augmentation views[0].steps[0].invert.p: 2, expected a probability, 0 to 1",
            ),
            (
                views(vec![Step::TrivialAugment {}, crop_step.clone()]),
                "augmentation views[0].steps: trivial_augment, crop, expected a crop first, and no other",
            ),
            (good.swav(0), "augmentation views[1].size: 0, expected 1 to 4096"),
            (
                of_size(Some(300), vec![crop_step]),
                "augmentation views[0].steps[0].crop.resize: 224, expected at least the size, at most 16384",
            ),
            (views(vec![]), "augmentation views[0].steps: none, expected a crop first, and no other"),
        ] {
            assert_eq!(bad.validate().unwrap_err().to_string(), message);
        }
    }
}
