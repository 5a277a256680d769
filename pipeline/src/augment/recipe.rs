//! What may happen to a view, and with which probability.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Dtype;
use super::params::JitterOp;
use super::step::Chance;
use super::{Interpolation, Step, Views, normalise};

/// An augmentation recipe. Any serde format holds one; what is left out is not done.
///
/// Its steps stand either in the papers' order, one field each and for every view the same (crop, jitter, gray, blur, flip), or as
/// [`views`](Self::views), which list them for groups of views. The two draw differently: see [`Plan`](super::Plan).
///
/// ```
/// use simsiam_pipeline::Recipe;
///
/// let recipe: Recipe = toml::from_str(
///     "size = 96
///      grayscale_p = 0.2
///      flip_p = 0.5
///      mean = [0.485, 0.456, 0.406]
///      std = [0.229, 0.224, 0.225]
///      crop.random_resized = { scale = [0.2, 1.0], ratio = [0.75, 1.25] }",
/// )?;
/// recipe.validate()?;
/// assert_eq!(recipe.blur, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Side of the square view, in pixels; of a group of `views` that has a size of its own, that one.
    pub size: usize,
    /// Which part of the image becomes the view. None only where there are `views`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// Random brightness, contrast, saturation and hue, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitter>,
    /// Probability of a gray view.
    #[serde(default)]
    pub grayscale_p: f64,
    /// Random blur, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur: Option<GaussianBlur>,
    /// Probability of a horizontal flip.
    #[serde(default)]
    pub flip_p: f64,
    /// How far an image may be reduced while it is decoded: each crop keeps at least so many times the view's size, in
    /// both directions (Pillow's `reducing_gap`, at least 1; its thumbnails and the presets use 2). Only crops that are
    /// shrunk to a quarter or less are touched by 2. None always decodes at full size, with torchvision's exact pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reducing_gap: Option<f64>,
    /// Mean that normalisation subtracts, per channel, of values in 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation that normalisation divides by, per channel.
    pub std: [f32; 3],
    /// Views by their own lists of steps, group after group, in the place of the fields above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<Views>,
}

/// Which part of the image becomes the view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Crop {
    /// torchvision's `RandomResizedCrop`: a random box, resized to the view.
    RandomResized {
        /// Share of the image's area that the box covers, smallest and largest.
        scale: (f64, f64),
        /// Width over height of the box, smallest and largest; drawn log-uniformly.
        ratio: (f64, f64),
        /// The filter of the resize; bilinear if left out.
        #[serde(default, skip_serializing_if = "Interpolation::is_bilinear")]
        interpolation: Interpolation,
    },
    /// torchvision's `Resize` and `CenterCrop`, for evaluation.
    ResizeCenter {
        /// Length in pixels to which the shorter side is resized; at least the view's size.
        resize: usize,
        /// The filter of the resize; bilinear if left out.
        #[serde(default, skip_serializing_if = "Interpolation::is_bilinear")]
        interpolation: Interpolation,
    },
}

/// torchvision's `ColorJitter`, applied with a probability.
///
/// A strength `b` draws a factor from U[max(0, 1 - b), 1 + b]; hue draws a turn from U[-hue, hue].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Probability that a view is jittered; 1 if left out.
    #[serde(default = "super::step::always")]
    pub p: f64,
    /// Strength of the brightness change.
    pub brightness: f64,
    /// Strength of the contrast change.
    pub contrast: f64,
    /// Strength of the saturation change.
    pub saturation: f64,
    /// Strength of the hue change, in turns of the colour circle; at most 0.5.
    pub hue: f64,
    /// The order of the four changes; drawn if left out, as torchvision does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<[JitterOp; 4]>,
}

/// Pillow's `GaussianBlur` with a random radius, applied with a probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBlur {
    /// Probability that a view is blurred; 1 if left out.
    #[serde(default = "super::step::always")]
    pub p: f64,
    /// Smallest and largest standard deviation, in pixels of the view.
    pub sigma: (f64, f64),
}

impl Crop {
    /// torchvision's `RandomResizedCrop(size, scale)`: boxes of 3:4 to 4:3, bilinear.
    pub fn random_resized(scale: (f64, f64)) -> Self {
        let ratio = (3.0 / 4.0, 4.0 / 3.0);
        Self::RandomResized { scale, ratio, interpolation: Interpolation::Bilinear }
    }

    /// The filter of its resize.
    pub fn interpolation(&self) -> Interpolation {
        match *self {
            Self::RandomResized { interpolation, .. } | Self::ResizeCenter { interpolation, .. } => {
                interpolation
            }
        }
    }

    /// The same crop with another filter.
    pub fn with_interpolation(mut self, filter: Interpolation) -> Self {
        let (Self::RandomResized { interpolation, .. } | Self::ResizeCenter { interpolation, .. }) =
            &mut self;
        *interpolation = filter;
        self
    }
}

impl Recipe {
    /// The fields that hold steps, which `views` take the place of.
    pub const STEP_FIELDS: [&str; 5] = ["crop", "color_jitter", "grayscale_p", "blur", "flip_p"];

    /// SimSiam's ImageNet recipe (Chen & He 2021, appendix A; `facebookresearch/simsiam`, `main_simsiam.py`).
    pub fn imagenet() -> Self {
        Self {
            size: 224,
            crop: Some(Crop::random_resized((0.2, 1.0))),
            color_jitter: Some(ColorJitter {
                p: 0.8,
                brightness: 0.4,
                contrast: 0.4,
                saturation: 0.4,
                hue: 0.1,
                order: None,
            }),
            grayscale_p: 0.2,
            blur: Some(GaussianBlur { p: 0.5, sigma: (0.1, 2.0) }),
            flip_p: 0.5,
            reducing_gap: Some(2.0),
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            views: Vec::new(),
        }
    }

    /// SimSiam's CIFAR-10 recipe (Chen & He 2021, appendix D): no blur, 32-pixel views.
    pub fn cifar10() -> Self {
        Self {
            size: 32,
            blur: None,
            mean: [0.4914, 0.4822, 0.4465],
            std: [0.2023, 0.1994, 0.2010],
            ..Self::imagenet()
        }
    }

    /// The view without randomness that goes with this recipe: the shorter side resized to 256/224 of the view's size
    /// (to the size itself for views under 64 pixels), its centre, the same interpolation, normalisation and
    /// `reducing_gap`.
    pub fn evaluation(&self) -> Self {
        let resize = if self.size >= 64 { (self.size * 256 + 112) / 224 } else { self.size };
        Self {
            crop: Some(Crop::ResizeCenter { resize, interpolation: self.interpolation() }),
            color_jitter: None,
            grayscale_p: 0.0,
            blur: None,
            flip_p: 0.0,
            views: Vec::new(),
            ..self.clone()
        }
    }

    /// Supervised training's light augmentation of the same views, for the linear probe (`facebookresearch/simsiam`,
    /// `main_lincls.py`): torchvision's `RandomResizedCrop` with its defaults and a flip, the same normalisation.
    pub fn crop_and_flip(&self) -> Self {
        Self {
            crop: Some(Crop::random_resized((0.08, 1.0)).with_interpolation(self.interpolation())),
            flip_p: 0.5,
            ..self.evaluation()
        }
    }

    /// That of the first view's crop.
    fn interpolation(&self) -> Interpolation {
        let listed = self.views.first().and_then(|views| views.steps.first());
        match (self.crop, listed) {
            (Some(crop), _) | (None, Some(&Step::Crop(crop))) => crop.interpolation(),
            _ => Interpolation::default(),
        }
    }

    /// The normalised value of each byte of each channel: what the bytes of a view of [`Dtype::U8`] stand for.
    pub fn levels(&self) -> [[f32; 256]; 3] {
        normalise::levels(self.mean, self.std)
    }

    /// BYOL's two recipes for one image (Grill et al. 2020, table 6): the first view is always blurred, the second seldom, and
    /// sometimes solarized.
    ///
    /// The colour changes come in one order, drawn for each view, as torchvision does it; the size and the normalisation are those of
    /// this recipe. Views below 64 pixels are not blurred, as in SimSiam's recipe for CIFAR-10.
    pub fn byol(&self) -> Self {
        let jitter =
            ColorJitter { p: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1, order: None };
        let view = |blur_p: f64, solarize_p: f64| {
            let mut steps = vec![
                Step::Crop(Crop::random_resized((0.08, 1.0))),
                Step::HorizontalFlip(Chance { p: 0.5 }),
                Step::ColorJitter(jitter),
                Step::Grayscale(Chance { p: 0.2 }),
            ];
            if self.size >= 64 {
                steps.push(Step::GaussianBlur(GaussianBlur { p: blur_p, sigma: (0.1, 2.0) }));
            }
            if solarize_p > 0.0 {
                steps.push(Step::Solarize { p: solarize_p, threshold: 128.0 });
            }
            Views { count: 1, size: None, steps }
        };
        Self { crop: None, views: vec![view(1.0, 0.0), view(0.1, 0.2)], ..self.evaluation() }
    }

    /// SwAV's multi-crop (Caron et al. 2020, appendix A; `facebookresearch/swav`, `src/multicropdataset.py`): two views of this
    /// recipe's size, of 14 to 100 % of the image, and six of `small` pixels, of 5 to 14 %.
    ///
    /// The normalisation is that of this recipe. The blur is Pillow's, as in the other recipes, where the code has OpenCV's; views
    /// of a recipe below 64 pixels are not blurred, as in SimSiam's recipe for CIFAR-10.
    pub fn swav(&self, small: usize) -> Self {
        let jitter =
            ColorJitter { p: 0.8, brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2, order: None };
        let group = |count: usize, size: Option<usize>, scale: (f64, f64)| {
            let mut steps = vec![
                Step::Crop(Crop::random_resized(scale)),
                Step::HorizontalFlip(Chance { p: 0.5 }),
                Step::ColorJitter(jitter),
                Step::Grayscale(Chance { p: 0.2 }),
            ];
            if self.size >= 64 {
                steps.push(Step::GaussianBlur(GaussianBlur { p: 0.5, sigma: (0.1, 2.0) }));
            }
            Views { count, size, steps }
        };
        let views = vec![group(2, None, (0.14, 1.0)), group(6, Some(small), (0.05, 0.14))];
        Self { crop: None, views, ..self.evaluation() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid() {
        for recipe in [Recipe::imagenet(), Recipe::cifar10()] {
            assert_eq!(recipe.validate(), Ok(()));
            assert_eq!(recipe.evaluation().validate(), Ok(()));
            assert_eq!(recipe.crop_and_flip().validate(), Ok(()));
            assert_eq!(recipe.byol().validate(), Ok(()));
            assert_eq!(recipe.swav(16).validate(), Ok(()));
        }
    }

    #[test]
    fn evaluation_resizes_to_torchvisions_sizes() {
        let center = |resize| Crop::ResizeCenter { resize, interpolation: Interpolation::Bilinear };
        assert_eq!(Recipe::imagenet().evaluation().crop, Some(center(256)));
        assert_eq!(Recipe::cifar10().evaluation().crop, Some(center(32)));
    }

    #[test]
    fn a_probability_left_out_is_one() {
        let step = |text: &str| toml::from_str::<Step>(text).unwrap();
        for text in [
            "color_jitter = { brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1 }",
            "gaussian_blur.sigma = [0.1, 2.0]",
            "grayscale = {}",
            "rotate.degrees = 3.0",
            "custom.name = \"fog\"",
        ] {
            assert_eq!(step(text).probability(), 1.0, "{text}");
        }
    }

    #[test]
    fn steps_left_out_are_not_done() {
        let text =
            r#"{"size": 32, "crop": {"resize_center": {"resize": 32}}, "mean": [0, 0, 0], "std": [1, 1, 1]}"#;
        let recipe: Recipe = serde_json::from_str(text).unwrap();
        let Recipe { color_jitter, grayscale_p, blur, flip_p, reducing_gap, .. } = recipe;
        assert_eq!((color_jitter, grayscale_p, blur, flip_p, reducing_gap), (None, 0.0, None, 0.0, None));
    }

    #[test]
    fn recipes_survive_serialisation_and_refuse_unknown_fields() {
        for recipe in [Recipe::imagenet(), Recipe::cifar10().evaluation()] {
            let mut json = serde_json::to_value(&recipe).unwrap();
            assert_eq!(serde_json::from_value::<Recipe>(json.clone()).unwrap(), recipe);
            json["blurr"] = 1.into();
            let error = serde_json::from_value::<Recipe>(json).unwrap_err();
            assert!(error.to_string().contains("unknown field `blurr`"), "{error}");
        }
    }
}
