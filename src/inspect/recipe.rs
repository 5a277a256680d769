//! The steps of a recipe, and how long each takes on some images.

use std::fmt;
use std::time::Instant;

use serde::Serialize;
use simsiam_pipeline::augment::{Augmenter, Plan, Step, ViewParams, Views};
use simsiam_pipeline::image::RgbImage;
use simsiam_pipeline::rng::ViewRng;
use simsiam_pipeline::{Layout, Recipe};

/// Times that everything is measured; the shortest counts.
const ROUNDS: usize = 5;

/// A decoded image: width, height, and interleaved bytes.
pub type Decoded = (usize, usize, Vec<u8>);

/// What a recipe does, and what it costs. Displays as a table for each group of views.
#[derive(Debug, Serialize)]
pub struct RecipeReport {
    /// Version of the streams that it draws from.
    pub streams: u32,
    /// Images that it was measured on.
    pub images: usize,
    /// Groups of views.
    pub views: Vec<ViewsReport>,
}

/// Views of the same steps.
#[derive(Debug, Serialize)]
pub struct ViewsReport {
    /// How many; `None` for all that there are.
    pub count: Option<usize>,
    /// Side of each, in pixels.
    pub size: usize,
    /// First to last.
    pub steps: Vec<StepReport>,
    /// A whole view, in microseconds of one thread, without decoding.
    pub microseconds: f64,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// With its values.
    pub step: Step,
    /// How often it does something.
    pub probability: f64,
    /// What a view takes longer for it, on average, in microseconds; of the crop, with normalising and writing. `None` of a custom
    /// step, which only the program that embeds the loader has.
    pub microseconds: Option<f64>,
}

impl RecipeReport {
    /// Measures a recipe on some images.
    ///
    /// # Panics
    /// If there are none.
    pub fn measure(recipe: &Recipe, images: &[Decoded]) -> Self {
        let plan = Plan::new(recipe);
        let group = |group: &Views| {
            let [crop, rest @ ..] = &group.steps[..] else { panic!("a view has a crop") };
            let size = plan.size(group);
            let time = |steps: Vec<Step>| microseconds(&of_steps(recipe, size, steps), images);
            let alone = time(vec![crop.clone()]);
            let of_step = |step: &Step| (time(vec![crop.clone(), step.clone()]) - alone).max(0.0);
            let report = |step: &Step, microseconds| StepReport {
                step: step.clone(),
                probability: step.probability(),
                microseconds,
            };
            let mut steps = vec![report(crop, Some(alone))];
            steps.extend(rest.iter().map(|step| report(step, is_built_in(step).then(|| of_step(step)))));
            ViewsReport {
                count: (group.count < usize::MAX).then_some(group.count),
                size,
                steps,
                microseconds: time(group.steps.iter().filter(|step| is_built_in(step)).cloned().collect()),
            }
        };
        Self {
            streams: plan.version(),
            images: images.len(),
            views: plan.groups().iter().map(group).collect(),
        }
    }
}

fn is_built_in(step: &Step) -> bool {
    !matches!(step, Step::Custom(_))
}

/// A recipe for one view.
fn of_steps(recipe: &Recipe, size: usize, steps: Vec<Step>) -> Recipe {
    let views = vec![Views { count: 1, size: None, steps }];
    Recipe { size, crop: None, views, ..recipe.evaluation() }
}

/// A view of each image, normalised: the mean time of one.
fn microseconds(recipe: &Recipe, images: &[Decoded]) -> f64 {
    let (plan, mut augmenter) = (Plan::new(recipe), Augmenter::new(recipe.clone()));
    let draw = |(sample, (width, height, _)): (usize, &Decoded)| {
        let mut params = ViewParams::default();
        plan.draw(0, &mut ViewRng::new(0, 0, sample as u64, 0), (*width, *height), &mut params);
        params
    };
    let drawn: Vec<ViewParams> = images.iter().enumerate().map(draw).collect();
    let mut view = vec![0.0f32; 3 * recipe.size * recipe.size];
    let mut round = || {
        let begin = Instant::now();
        for ((width, height, pixels), params) in images.iter().zip(&drawn) {
            let image = RgbImage { width: *width, height: *height, pixels };
            let written = augmenter.view(image.into(), params, Layout::Nchw, &mut view);
            written.expect("only a custom step can fail, and none is measured");
        }
        begin.elapsed().as_secs_f64() * 1e6 / images.len() as f64
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

impl fmt::Display for RecipeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { streams, images, views } = self;
        write!(f, "streams of version {streams}; microseconds of one thread, on {images} images")?;
        let mut first = 1;
        for ViewsReport { count, size, steps, microseconds } in views {
            match count {
                None => write!(f, "\n\nevery view")?,
                Some(1) => write!(f, "\n\nview {first}")?,
                Some(count) => write!(f, "\n\nviews {first} to {}", first + count - 1)?,
            }
            first += count.unwrap_or(0);
            write!(f, ": {size} x {size}\n  {:<18} {:>11}  {:>12}", "step", "probability", "time a view")?;
            for StepReport { step, probability, microseconds } in steps {
                let (name, time) =
                    (step.name(), microseconds.map_or("-".into(), |time| format!("{time:.1}")));
                write!(f, "\n  {name:<18} {probability:>11.2}  {time:>12}")?;
            }
            write!(f, "\n  {:<18} {:>11}  {microseconds:>12.1}", "all", "")?;
        }
        write!(
            f,
            "\n\nThe crop's time has normalising and writing in it; decoding comes on top, once an image."
        )
    }
}

#[cfg(test)]
mod tests {
    use simsiam_pipeline::augment::NamedStep;

    use super::*;

    #[test]
    fn every_step_is_measured_and_shown() {
        let images: Vec<Decoded> = vec![(40, 30, vec![90; 40 * 30 * 3]); 3];
        let report = RecipeReport::measure(&Recipe { size: 64, ..Recipe::cifar10() }.byol(), &images);
        assert_eq!(report.views.iter().map(|views| views.steps.len()).collect::<Vec<_>>(), [5, 6]);
        assert!(report.views.iter().all(|views| views.microseconds > 0.0));
        let text = report.to_string();
        for part in [
            "view 1: 64 x 64\n",
            "view 2: 64 x 64\n",
            "streams of version 2",
            "solarize                  0.20",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let alike = RecipeReport::measure(&Recipe::cifar10(), &images);
        assert!(alike.to_string().contains("every view: 32 x 32\n"));
        let mut with_custom = Recipe::cifar10().swav(16);
        with_custom.views[0].steps.push(Step::Custom(NamedStep { name: "fog".into(), p: 0.5 }));
        let with_custom = RecipeReport::measure(&with_custom, &images).to_string();
        assert!(with_custom.contains("  fog                       0.50             -\n"), "{with_custom}");
        let multi_crop = RecipeReport::measure(&Recipe::cifar10().swav(16), &images).to_string();
        assert!(multi_crop.contains("views 3 to 8: 16 x 16\n"), "{multi_crop}");
    }
}
