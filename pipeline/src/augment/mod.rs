//! Random views with Pillow's pixels and torchvision's distributions.
//!
//! A [`Recipe`] says what may happen, its [`Plan`] decides what happens to one view (it needs the image's size, not its pixels): a
//! window and a list of [`Operation`]s. An [`Augmenter`] does it: crop and resize, one operation after the other, normalise. Every
//! operation is held against Pillow's by `tests/golden.rs`; the measured errors are in `docs/augmentation.md`.
//!
//! A new step is a variant of [`Step`] and its line in each of its functions; what it does, if no operation does it yet, a file here and
//! a line in [`Augmenter`]'s `apply`.
//!
//! An augmenter reads an [`RgbPart`], for a decoder need not deliver more than [`Recipe::needed`] says. Resizing turns its
//! interleaved rows into three planes, every other operation is a loop over planes. Most loops are written once and
//! compiled for each instruction set (`cpu`); where the compiler falls short, an operation has a folder with a file for
//! each set.

mod affine;
mod blur;
mod color;
mod cpu;
mod custom;
mod element;
mod erase;
mod format;
mod groups;
mod hue;
mod interpolation;
mod levels;
mod look_up;
mod needed;
mod noise;
mod normalise;
mod operation;
mod params;
mod plan;
mod planes;
mod policy;
mod recipe;
mod resize;
mod sharpen;
mod step;
mod validate;

pub use affine::{Matrix, Motion};
pub use custom::{
    CustomStep, CustomStepError, CustomSteps, CustomStepsError, CustomView, NamedStep, StepPlace,
};
pub use element::Element;
pub use format::{Dtype, Format, Layout, PixelsMut};
pub use groups::{ViewGroup, Views};
pub use interpolation::Interpolation;
pub use operation::Operation;
pub use params::{JitterOp, ViewParams, Window};
pub use plan::Plan;
pub use recipe::{ColorJitter, Crop, GaussianBlur, Recipe};
pub use step::{Chance, Step};
pub use validate::RecipeError;

use crate::image::RgbPart;
use crate::instructions::Instructions;
use crate::rng::ViewRng;
use blur::Blur;
use cpu::Cpu;
use normalise::Normaliser;
use planes::Planes;
use resize::Resizer;

/// Makes views of one recipe, reusing its scratch memory. One per worker.
///
/// Nothing is allocated once the scratch has grown to the largest image seen. The bytes are the same on every processor.
#[derive(Debug)]
pub struct Augmenter {
    cpu: Cpu,
    normaliser: Normaliser,
    resizer: Resizer,
    blur: Blur,
    /// What an erased box is filled with.
    mean: [u8; 3],
    view: Planes,
    /// A plane or all of them, and packed pixels, for the operations that cannot work in place.
    copy: Vec<u8>,
    sources: Vec<u32>,
    /// The recipe's, where steps of one's own are named.
    views: Vec<Views>,
    pub(crate) steps: CustomSteps,
}

impl Augmenter {
    /// An augmenter whose views have the normalisation of `recipe`; their sizes are those of their parameters.
    pub fn new(recipe: Recipe) -> Self {
        Self::with_instructions(recipe, Instructions::Detected)
    }

    /// An augmenter that uses these instructions. The views are the same.
    pub fn with_instructions(recipe: Recipe, instructions: Instructions) -> Self {
        Self::with_cpu(recipe, Cpu::best(instructions))
    }

    fn with_cpu(recipe: Recipe, cpu: Cpu) -> Self {
        Self {
            cpu,
            normaliser: Normaliser::new(cpu, recipe.mean, recipe.std),
            resizer: Resizer::new(cpu),
            blur: Blur::new(cpu),
            mean: recipe.mean.map(|mean| (mean * 255.0).round() as u8),
            copy: Vec::new(),
            sources: Vec::new(),
            view: Planes::default(),
            views: recipe.views,
            steps: CustomSteps::default(),
        }
    }

    /// The same augmenter, with the steps that its recipe names.
    pub fn with_steps(mut self, steps: CustomSteps) -> Self {
        self.steps = steps;
        self
    }

    /// Writes a view: normalised numbers, or RGB bytes as they are, channels first or last.
    ///
    /// # Errors
    /// If a step of one's own fails, or was not given.
    ///
    /// # Panics
    /// When `out` has not `3 * size * size` elements for the window's size, or `part` does not hold what [`Recipe::needed`] says.
    pub fn view<E: Element>(
        &mut self,
        part: RgbPart<'_>,
        params: &ViewParams,
        layout: Layout,
        out: &mut [E],
    ) -> Result<(), CustomStepError> {
        self.render(&part, params)?;
        E::write(self, layout, out);
        Ok(())
    }

    /// Everything but the last step, which depends on what is made of the view. A flip is done while the image is resized, if what
    /// comes before it cannot tell left from right.
    fn render(&mut self, part: &RgbPart<'_>, params: &ViewParams) -> Result<(), CustomStepError> {
        let operations = &params.operations;
        let asymmetric = operations.iter().position(|operation| !operation.is_symmetric());
        let flip = asymmetric.filter(|at| operations[*at] == Operation::HorizontalFlip);
        self.resizer.resize(part, &params.window, flip.is_some(), &mut self.view);
        for (at, operation) in operations.iter().enumerate() {
            if Some(at) != flip {
                self.apply(params.window.size, operation)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, size: usize, operation: &Operation) -> Result<(), CustomStepError> {
        let (cpu, view) = (self.cpu, &mut self.view);
        match operation {
            Operation::Brightness(factor) => color::brightness(cpu, view, *factor),
            Operation::Contrast(factor) => color::contrast(cpu, view, *factor),
            Operation::Saturation(factor) => color::saturation(cpu, view, *factor),
            Operation::Hue(turn) => hue::turn(cpu, view, *turn),
            Operation::Gray => color::gray(cpu, view),
            Operation::Blur(sigma) => self.blur.gaussian(view, size, *sigma),
            Operation::Sharpness(factor) => sharpen::sharpness(cpu, view, size, *factor, &mut self.copy),
            Operation::Solarize(threshold) => levels::solarize(cpu, view, *threshold),
            Operation::Posterize(bits) => levels::posterize(cpu, view, *bits),
            Operation::Invert => levels::invert(cpu, view),
            Operation::Autocontrast => levels::autocontrast(cpu, view),
            Operation::Equalize => levels::equalize(cpu, view),
            Operation::HorizontalFlip => view.flip_columns(size),
            Operation::VerticalFlip => view.flip_rows(size),
            Operation::Affine(matrix) => {
                affine::transform(cpu, view, size, matrix, &mut self.sources, &mut self.copy)
            }
            Operation::Erase(area) => erase::erase(view, size, area, self.mean),
            Operation::Noise { sigma, seed } => noise::add(view, *sigma, *seed),
            Operation::Custom { place, seed } => self.custom(size, *place, *seed)?,
        }
        Ok(())
    }

    fn custom(&mut self, size: usize, place: StepPlace, seed: u64) -> Result<(), CustomStepError> {
        let name = self.views[place.group].steps[place.step].name();
        let rng = ViewRng::new(seed, 0, 0, 0);
        let mut view = CustomView { pixels: self.view.bytes_mut(), size, rng };
        let outcome = match self.steps.get(name) {
            Some(step) => step.apply(&mut view),
            None => Err("no step of this name was given".into()),
        };
        outcome.map_err(|source| CustomStepError { name: name.into(), place, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Region, RgbImage};

    #[test]
    fn one_pixel_and_narrow_images_become_views() {
        for (width, height) in [(1, 1), (1, 40), (40, 1), (2, 300)] {
            let pixels: Vec<u8> = (0..width * height * 3).map(|i| i as u8).collect();
            let image = RgbImage { width, height, pixels: &pixels };
            let recipe = Recipe { size: 16, ..Recipe::imagenet() };
            let mut augmenter = Augmenter::new(recipe.clone());
            for sample in 0..50 {
                let params = recipe.draw(0, &mut ViewRng::new(0, 0, sample, 0), width, height);
                let mut out = [f32::NAN; 3 * 16 * 16];
                augmenter.view(image.into(), &params, Layout::Nchw, &mut out).unwrap();
                assert!(out.iter().all(|value| value.is_finite()));
            }
        }
    }

    #[test]
    fn a_view_depends_on_its_parameters_alone() {
        let pixels: Vec<u8> = (0..50 * 40 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = RgbImage { width: 50, height: 40, pixels: &pixels };
        let recipe = Recipe { size: 24, ..Recipe::imagenet() };
        let params = |sample| recipe.draw(0, &mut ViewRng::new(1, 0, sample, 0), 50, 40);
        for cpu in Cpu::all() {
            let mut used = Augmenter::with_cpu(recipe.clone(), cpu);
            let [mut found, mut expected] = [[0; 24 * 24 * 3]; 2];
            for sample in 0..40 {
                let mut fresh = Augmenter::with_cpu(recipe.clone(), Cpu::Plain);
                fresh.view(image.into(), &params(sample), Layout::Nhwc, &mut expected).unwrap();
                used.view(image.into(), &params(sample), Layout::Nhwc, &mut found).unwrap();
                assert_eq!(found, expected, "{cpu:?}");
            }
        }
    }

    #[test]
    fn a_part_is_enough() {
        let (width, height) = (90, 70);
        let pixels: Vec<u8> = (0..width * height * 3).map(|i| (i * i % 251) as u8).collect();
        let whole = RgbPart::from(RgbImage { width, height, pixels: &pixels });
        for recipe in [Recipe::imagenet(), Recipe::imagenet().evaluation()] {
            let recipe = Recipe { size: 16, ..recipe };
            let mut augmenter = Augmenter::new(recipe.clone());
            for sample in 0..40 {
                let params = recipe.draw(0, &mut ViewRng::new(2, 0, sample, 0), width, height);
                let Region { top, left, width, height } = recipe.needed(std::slice::from_ref(&params)).region;
                let pixels = &pixels[(top * whole.width + left) * 3..];
                let part = RgbPart { top, left, width, height, pixels, ..whole };
                let [mut found, mut expected] = [[0; 16 * 16 * 3]; 2];
                augmenter.view(whole, &params, Layout::Nhwc, &mut expected).unwrap();
                augmenter.view(part, &params, Layout::Nhwc, &mut found).unwrap();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn scratch_stops_growing() {
        let pixels = vec![7; 80 * 60 * 3];
        let image = RgbImage { width: 80, height: 60, pixels: &pixels };
        let recipe = Recipe { size: 32, ..Recipe::imagenet() };
        let mut augmenter = Augmenter::new(recipe.clone());
        let mut out = vec![0.0; 3 * 32 * 32];
        let mut epoch = |augmenter: &mut Augmenter| {
            for sample in 0..300 {
                let params = recipe.draw(0, &mut ViewRng::new(2, 0, sample, 0), 80, 60);
                augmenter.view(image.into(), &params, Layout::Nchw, &mut out).unwrap();
            }
            (augmenter.resizer.capacities(), augmenter.blur.capacities())
        };
        let grown = epoch(&mut augmenter);
        assert_eq!(epoch(&mut augmenter), grown);
    }
}
