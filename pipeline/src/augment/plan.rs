//! A recipe made ready to draw from.

use super::step::Chance;
use super::{Recipe, Step, StepPlace, ViewParams, Views};
use crate::rng::ViewRng;

/// The steps of each view of a recipe, and which random numbers they draw: the version of its streams.
///
/// 1. A recipe's fields draw from one stream of the view, one after the other.
/// 2. A step of a list has a stream of its own, keyed by the view, the step's name, and how many steps of that name come before it. A
///    step that is added, left out or moved changes nothing that the others draw.
#[derive(Debug, Clone)]
pub struct Plan {
    size: usize,
    groups: Vec<Views>,
    streams: Streams,
}

#[derive(Debug, Clone, Copy)]
enum Streams {
    OfTheView,
    OfEachStep,
}

impl Plan {
    /// The plan of a recipe; of a view's fields, for any number of views.
    pub fn new(recipe: &Recipe) -> Self {
        let (groups, streams) = if recipe.views.is_empty() {
            (
                vec![Views { count: usize::MAX, size: None, steps: recipe.steps_of_the_fields() }],
                Streams::OfTheView,
            )
        } else {
            (recipe.views.clone(), Streams::OfEachStep)
        };
        Self { size: recipe.size, groups, streams }
    }

    /// The version of its streams.
    pub fn version(&self) -> u32 {
        match self.streams {
            Streams::OfTheView => 1,
            Streams::OfEachStep => 2,
        }
    }

    /// Its groups of views; of a recipe's fields, one of as many as there can be.
    pub fn groups(&self) -> &[Views] {
        &self.groups
    }

    /// The group that a view is of.
    ///
    /// # Panics
    /// When there is no such view.
    pub fn group(&self, view: usize) -> &Views {
        &self.groups[self.group_number(view)]
    }

    fn group_number(&self, view: usize) -> usize {
        let mut before = 0usize;
        let number = self.groups.iter().position(|group| {
            before = before.saturating_add(group.count);
            view < before
        });
        number.expect("a recipe has steps for each view that is asked for")
    }

    /// Side of the views of a group, in pixels.
    pub fn size(&self, group: &Views) -> usize {
        group.size.unwrap_or(self.size)
    }

    /// Overwrites `params` with those of a view of an image of (width, height), drawn from the view's stream `rng`.
    ///
    /// # Panics
    /// When the image has no pixels, or there is no such view.
    pub fn draw(&self, view: usize, rng: &mut ViewRng, image: (usize, usize), params: &mut ViewParams) {
        assert!(image.0 > 0 && image.1 > 0, "an image has pixels");
        params.operations.clear();
        let group = self.group_number(view);
        let (steps, size) = (&self.groups[group].steps, self.size(&self.groups[group]));
        for (number, step) in steps.iter().enumerate() {
            let place = StepPlace { group, step: number };
            match self.streams {
                Streams::OfTheView => step.draw(place, rng, size, image, params),
                Streams::OfEachStep => {
                    let before = steps[..number].iter().filter(|other| other.name() == step.name()).count();
                    step.draw(place, &mut rng.branch(step.name(), before as u32), size, image, params);
                }
            }
        }
    }
}

impl Recipe {
    /// The fields as a list, in the papers' order.
    fn steps_of_the_fields(&self) -> Vec<Step> {
        let steps = [
            self.crop.map(Step::Crop),
            self.color_jitter.map(Step::ColorJitter),
            Some(Step::Grayscale(Chance { p: self.grayscale_p })),
            self.blur.map(Step::GaussianBlur),
            Some(Step::HorizontalFlip(Chance { p: self.flip_p })),
        ];
        steps.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{Crop, Operation};

    fn crop() -> Step {
        Step::Crop(Crop::random_resized((0.2, 1.0)))
    }

    fn drawn(steps: Vec<Step>) -> Vec<ViewParams> {
        let recipe = Recipe {
            crop: None,
            views: vec![Views { count: 2, size: None, steps }],
            ..Recipe::imagenet().evaluation()
        };
        recipe.validate().unwrap();
        (0..200).map(|sample| recipe.draw(1, &mut ViewRng::new(9, 0, sample, 1), 300, 200)).collect()
    }

    #[test]
    fn an_added_step_changes_only_what_comes_out_of_it() {
        let rotate = Step::Rotate { p: 0.5, degrees: 20.0 };
        let noise = Step::GaussianNoise { p: 0.5, sigma: 0.1 };
        let before = drawn(vec![crop(), rotate.clone(), noise.clone()]);
        let after = drawn(vec![crop(), Step::Invert(Chance { p: 0.5 }), noise, rotate]);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.window, after.window);
            let of = |params: &ViewParams, is: fn(&Operation) -> bool| {
                params.operations.iter().find(|op| is(op)).copied()
            };
            for is in [(|op| matches!(op, Operation::Affine(_))) as fn(&Operation) -> bool, |op| {
                matches!(op, Operation::Noise { .. })
            }] {
                assert_eq!(of(before, is), of(after, is));
            }
        }
        assert!(after.iter().any(|params| params.operations.contains(&Operation::Invert)));
    }

    #[test]
    fn steps_of_one_name_draw_apart() {
        let rotate = Step::Rotate { p: 1.0, degrees: 20.0 };
        for params in drawn(vec![crop(), rotate.clone(), rotate]) {
            assert_ne!(params.operations[0], params.operations[1]);
        }
    }

    #[test]
    fn groups_follow_one_another() {
        let plan = Plan::new(&Recipe::imagenet().byol());
        assert_eq!(plan.version(), 2);
        let has_solarize = |view| plan.group(view).steps.iter().any(|step| step.name() == "solarize");
        assert_eq!([has_solarize(0), has_solarize(1)], [false, true]);
        assert_eq!(Plan::new(&Recipe::imagenet()).version(), 1);
    }

    #[test]
    fn a_size_of_its_own_changes_nothing_but_the_window() {
        let (small, full) = (Recipe::imagenet().swav(96), Recipe::imagenet().swav(224));
        for sample in 0..50 {
            let draw =
                |recipe: &Recipe, view| recipe.draw(view, &mut ViewRng::new(9, 0, sample, 0), 300, 200);
            assert_eq!(draw(&small, 0), draw(&full, 0));
            let (of_small, of_full) = (draw(&small, 7), draw(&full, 7));
            assert_eq!((of_small.window.size, of_small.window.scaled_width), (96, 96));
            assert_eq!(of_small.window.source, of_full.window.source);
            assert_eq!(of_small.operations, of_full.operations);
        }
    }

    #[test]
    #[should_panic(expected = "steps for each view")]
    fn a_view_beyond_the_last_is_refused() {
        Plan::new(&Recipe::imagenet().byol()).group(2);
    }
}
