//! From an encoded image to its views: draw the parameters, decode what they need, augment.

use crate::augment::{Augmenter, CustomStepError, CustomSteps, Element, Layout, Plan, Recipe, ViewParams};
use crate::decode::{DecodeError, DecodeLimits, Decoder, probe};
use crate::image::RgbPart;
use crate::instructions::Instructions;
use crate::rng::ViewRng;

/// Makes the views of one image after another, reusing its memory. Each worker has one.
#[derive(Debug)]
pub struct ViewMaker {
    recipe: Recipe,
    plan: Plan,
    seed: u64,
    decoder: Decoder,
    augmenter: Augmenter,
    params: Vec<ViewParams>,
}

/// An image, decoded as far as its views need.
#[derive(Debug)]
pub struct DecodedViews<'a> {
    part: RgbPart<'a>,
    params: &'a [ViewParams],
    augmenter: &'a mut Augmenter,
}

impl ViewMaker {
    /// A maker of `views` views per image by `recipe`. `seed` is the only source of randomness.
    ///
    /// # Panics
    /// If `views` is 0 or more than the recipe has.
    pub fn new(recipe: Recipe, views: usize, seed: u64) -> Self {
        assert!(views > 0, "an image is decoded for at least one view");
        Self {
            seed,
            decoder: Decoder::new(DecodeLimits::default()),
            augmenter: Augmenter::new(recipe.clone()),
            params: vec![ViewParams::default(); views],
            plan: Plan::new(&recipe),
            recipe,
        }
    }

    /// The same maker, rejecting images beyond `limits`.
    pub fn with_limits(mut self, limits: DecodeLimits) -> Self {
        self.decoder.limits = limits;
        self
    }

    /// The same maker, limited to these instructions. The views are the same.
    pub fn with_instructions(mut self, instructions: Instructions) -> Self {
        self.decoder = Decoder::with_instructions(self.decoder.limits, instructions);
        let augmenter = Augmenter::with_instructions(self.recipe.clone(), instructions);
        self.augmenter = augmenter.with_steps(self.augmenter.steps);
        self
    }

    /// The same maker, with the steps that its recipe names.
    pub fn with_steps(mut self, steps: CustomSteps) -> Self {
        self.augmenter.steps = steps;
        self
    }

    /// Draws the views of sample number `sample` in epoch `epoch`, and decodes its file `bytes`.
    ///
    /// # Errors
    /// If the bytes are not an image that can be decoded within the limits.
    pub fn decode(&mut self, bytes: &[u8], epoch: u64, sample: u64) -> Result<DecodedViews<'_>, DecodeError> {
        let info = probe(bytes)?;
        let (width, height) = (info.width as usize, info.height as usize);
        for (view, params) in self.params.iter_mut().enumerate() {
            let mut rng = ViewRng::new(self.seed, epoch, sample, view as u64);
            self.plan.draw(view, &mut rng, (width, height), params);
        }
        let part = self.decoder.decode_known(bytes, &info, &self.recipe.needed(&self.params))?;
        Ok(DecodedViews { part, params: &self.params, augmenter: &mut self.augmenter })
    }
}

impl DecodedViews<'_> {
    /// Writes view number `view`, `3 x size x size` or `size x size x 3` elements.
    ///
    /// # Errors
    /// If a step of one's own fails, or was not given.
    ///
    /// # Panics
    /// If there is no such view, or `out` has another length.
    pub fn render<E: Element>(
        &mut self,
        view: usize,
        layout: Layout,
        out: &mut [E],
    ) -> Result<(), CustomStepError> {
        self.augmenter.view(self.part, &self.params[view], layout, out)
    }
}
