//! Steps of your own, which a recipe's list names and a loader is given.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Recipe, Step};
use crate::rng::ViewRng;

/// Changes the bytes of a view, at its place among a recipe's steps and before the view is normalised.
///
/// A recipe names it (`{ custom = { name = "fog", p = 0.5 } }`), [`LoaderBuilder::step`](crate::loader::LoaderBuilder::step) gives it.
/// It runs on the workers. Batches stay the same for any number of workers and after a resume as long as the outcome depends on
/// nothing but the [`CustomView`], its random stream included.
///
/// ```
/// use std::error::Error;
/// use std::sync::Arc;
///
/// use simsiam_pipeline::Recipe;
/// use simsiam_pipeline::augment::{CustomStep, CustomView};
/// use simsiam_pipeline::loader::Loader;
///
/// /// Mixes each pixel with gray.
/// #[derive(Debug)]
/// struct Fog;
///
/// impl CustomStep for Fog {
///     fn apply(&self, view: &mut CustomView<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
///         let density = view.rng.uniform(0.0, 0.5);
///         for value in view.pixels.iter_mut() {
///             *value = (f64::from(*value) * (1.0 - density) + 200.0 * density) as u8;
///         }
///         Ok(())
///     }
/// }
///
/// let mut recipe: Recipe = toml::from_str(
///     r#"size = 32
///     mean = [0.5, 0.5, 0.5]
///     std = [0.25, 0.25, 0.25]
///     [[views]]
///     count = 2
///     steps = [
///         { crop = { random_resized = { scale = [0.2, 1.0], ratio = [0.75, 1.33] } } },
///         { custom = { name = "fog", p = 0.5 } },
///     ]"#,
/// )?;
/// let loader = Loader::training(["shards/*.tar"], recipe, 256).step("fog", Arc::new(Fog));
/// # Ok::<(), Box<dyn Error>>(())
/// ```
pub trait CustomStep: fmt::Debug + Send + Sync {
    /// Changes one view.
    ///
    /// # Errors
    /// Whatever keeps it from doing so. The pipeline ends with it, and names the step and the sample; so it does after a panic.
    fn apply(&self, view: &mut CustomView<'_>) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// A view between two steps.
#[derive(Debug)]
#[non_exhaustive]
pub struct CustomView<'a> {
    /// Its bytes, `3 x size x size`: red, green and blue planes.
    pub pixels: &'a mut [u8],
    /// Its side, in pixels.
    pub size: usize,
    /// A random stream of this step and view alone.
    pub rng: ViewRng,
}

/// A step of your own as it stands in a recipe's list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedStep {
    /// By which the loader knows it.
    pub name: String,
    /// Probability.
    #[serde(default = "super::step::always")]
    pub p: f64,
}

/// Where a step stands in a recipe. Displays as `views[0].steps[2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPlace {
    /// Number of the group of views, from 0.
    pub group: usize,
    /// Number of the step in the group's list, from 0.
    pub step: usize,
}

/// Steps of your own by their names.
#[derive(Debug, Clone, Default)]
pub struct CustomSteps(BTreeMap<String, Arc<dyn CustomStep>>);

impl CustomSteps {
    /// Adds a step, or takes the place of the one with this name.
    pub fn insert(&mut self, name: impl Into<String>, step: Arc<dyn CustomStep>) {
        self.0.insert(name.into(), step);
    }

    pub(super) fn get(&self, name: &str) -> Option<&dyn CustomStep> {
        self.0.get(name).map(|step| &**step)
    }

    /// Checks that they are those that `recipe` names.
    ///
    /// # Errors
    /// The first that is missing, or that no view has.
    pub(crate) fn check(&self, recipe: &Recipe) -> Result<(), CustomStepsError> {
        for (place, name) in recipe.custom_steps() {
            if !self.0.contains_key(name) {
                return Err(CustomStepsError::Missing { name: name.into(), place });
            }
        }
        let is_named = |step: &String| recipe.custom_steps().any(|(_, name)| name == step);
        match self.0.keys().find(|step| !is_named(step)) {
            Some(step) => Err(CustomStepsError::Unnamed { name: step.clone() }),
            None => Ok(()),
        }
    }
}

/// Steps of your own that do not fit a recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CustomStepsError {
    /// The recipe names a step that is not there.
    #[error(
        "augmentation {place}: no custom step `{name}` was given; a program that embeds the loader gives it, in Rust by \
         `LoaderBuilder::step`, in Python by `steps={{\"{name}\": ...}}`"
    )]
    Missing {
        /// The step's.
        name: String,
        /// Where the recipe names it.
        place: StepPlace,
    },
    /// The recipe does not name a step that is there.
    #[error(
        "custom step `{name}` is not in the recipe; list it as {{ custom = {{ name = \"{name}\" }} }} in a view's steps"
    )]
    Unnamed {
        /// The step's.
        name: String,
    },
}

/// A step of your own that failed.
#[derive(Debug, thiserror::Error)]
#[error("custom step `{name}` (augmentation {place}): {source}")]
pub struct CustomStepError {
    /// The step's name.
    pub name: String,
    /// Where it stands.
    pub place: StepPlace,
    /// What it said.
    pub source: Box<dyn Error + Send + Sync>,
}

impl Recipe {
    /// The steps of your own in its lists: where each stands, and its name.
    pub fn custom_steps(&self) -> impl Iterator<Item = (StepPlace, &str)> {
        self.views.iter().enumerate().flat_map(|(group, views)| {
            views.steps.iter().enumerate().filter_map(move |(step, listed)| match listed {
                Step::Custom(NamedStep { name, .. }) => Some((StepPlace { group, step }, name.as_str())),
                _ => None,
            })
        })
    }
}

impl fmt::Display for StepPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "views[{}].steps[{}]", self.group, self.step)
    }
}
