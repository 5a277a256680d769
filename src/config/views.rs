//! The views of an image: which groups a run has, and what encoder and method take of them.

use simsiam_model::arch::Arch;
use simsiam_pipeline::augment::ViewGroup;

use super::{Method, TrainConfig};
use crate::error::InputError;

/// The key of the setting that methods have which take views of several sizes.
const MULTI_CROP: &str = "multi_crop";

impl TrainConfig {
    /// The groups of an image's views: the recipe's, or one of as many views as the method takes.
    pub fn view_groups(&self) -> Vec<ViewGroup> {
        self.recipe.groups(self.symmetry.views())
    }

    /// Refuses images of a size that the encoder was not compiled for.
    ///
    /// # Errors
    /// If so; the error lists what was.
    pub fn check_size(&self) -> Result<(), InputError> {
        let (arch, size) = (self.arch, self.recipe.size);
        if !arch.sizes().contains(&size) {
            let compiled: Vec<String> =
                Arch::ALL.iter().map(|arch| format!("{arch} at {}", listed(arch.sizes()))).collect();
            return Err(InputError::new(format!(
                "{arch} at {size} was not compiled; compiled are: {} (choose --arch, --size or --preset to match)",
                compiled.join("; ")
            )));
        }
        let groups = self.view_groups();
        match groups.iter().enumerate().find(|(_, group)| !arch.sizes().contains(&group.size)) {
            None => Ok(()),
            Some((number, group)) => Err(InputError::new(format!(
                "recipe.views[{number}].size: {}: must be one of {:?}, which {arch} is compiled for",
                group.size,
                arch.sizes()
            ))),
        }
    }

    /// Refuses groups of views that the method does not take.
    pub(super) fn validate_views(&self) -> Result<(), InputError> {
        let Self { method, recipe, .. } = self;
        let Some(views) = recipe.views_of_an_image() else { return Ok(()) };
        let (full, groups) = (recipe.size, self.view_groups());
        let refuse = |reason: String| Err(InputError::new(reason));
        if method.takes().contains(&MULTI_CROP) {
            if let Some((number, group)) = groups.iter().enumerate().find(|(_, group)| group.size > full) {
                let size = group.size;
                return refuse(format!(
                    "recipe.views[{number}].size: {size}: must be at most {full}, the recipe's size"
                ));
            }
            let of_full: usize =
                groups.iter().filter(|group| group.size == full).map(|group| group.count).sum();
            if of_full < 2 {
                return refuse(format!(
                    "recipe.views: {}: must be at least 2 of {full} x {full}, whose codes {method} predicts",
                    ViewGroup::listed(&groups)
                ));
            }
            return Ok(());
        }
        let taken = self.symmetry.views();
        if let Some((number, group)) = groups.iter().enumerate().find(|(_, group)| group.size != full) {
            let others = Method::ALL.iter().filter(|method| method.takes().contains(&MULTI_CROP));
            let others: Vec<_> = others.map(|method| method.name()).collect();
            return refuse(format!(
                "recipe.views[{number}]: {group}: {method} takes {taken} views of {full} x {full}; views of several sizes are for {}",
                others.join(", ")
            ));
        }
        if views != taken {
            return refuse(format!("recipe.views: {views} views: must be {taken}, as the method takes"));
        }
        Ok(())
    }
}

/// `32`, `32 and 64`, `64, 96 and 128`.
pub(super) fn listed(sizes: &[usize]) -> String {
    let texts: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => texts.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Preset};

    fn resolved(arch: Arch, overrides: Overrides) -> Result<TrainConfig, String> {
        let given = Overrides { preset: Some(Preset::for_arch(arch)), arch: Some(arch), ..overrides };
        let checked = TrainConfig::resolve(&given).and_then(|config| config.check_size().map(|()| config));
        checked.map_err(|error| error.to_string())
    }

    fn multi_crop(method: Method, size: Option<usize>) -> Overrides {
        Overrides { method: Some(method), size, multi_crop: Some(true), ..Overrides::default() }
    }

    #[test]
    fn multi_crop_takes_the_encoders_sizes() {
        for (arch, size, expected) in [
            (Arch::Resnet50, None, "2 views of 224 x 224 and 6 of 96 x 96"),
            (Arch::Resnet18CifarW16, None, "2 views of 32 x 32 and 6 of 16 x 16"),
            (Arch::Resnet18Cifar, Some(64), "2 views of 64 x 64 and 6 of 32 x 32"),
            (Arch::Resnet34, Some(160), "2 views of 160 x 160 and 6 of 64 x 64"),
        ] {
            let config = resolved(arch, multi_crop(Method::SwAv, size)).unwrap();
            assert_eq!(ViewGroup::listed(&config.view_groups()), expected);
            assert_eq!(config.views(), 8);
            // The same by the recipe's name, and again on top of what it made.
            let recipe = toml::Table::from_iter([("preset".to_owned(), "swav".into())]);
            let named =
                Overrides { method: Some(Method::SwAv), recipe: Some(recipe), size, ..Overrides::default() };
            assert_eq!(resolved(arch, named).unwrap().recipe, config.recipe);
            let again = Overrides { multi_crop: Some(true), ..Overrides::default() };
            assert_eq!(config.with(&again).unwrap(), config);
        }
    }

    #[test]
    fn what_encoder_or_method_cannot_take_is_refused_by_the_groups_place() {
        let recipe = |text: &str| Overrides {
            method: Some(Method::SwAv),
            recipe: Some(text.parse().unwrap()),
            ..Overrides::default()
        };
        let crop = "steps = [{ crop = { random_resized = { scale = [0.2, 1.0], ratio = [0.75, 1.33] } } }]";
        let groups = |method: Method, of: &[(usize, usize)]| {
            let groups =
                of.iter().map(|(count, size)| format!("[[views]]\ncount = {count}\nsize = {size}\n{crop}\n"));
            Overrides { method: Some(method), ..recipe(&groups.collect::<String>()) }
        };
        let small = Arch::Resnet18CifarW16;
        for (arch, overrides, expected) in [
            (
                small,
                multi_crop(Method::SimClr, None),
                "--multi-crop has no effect with simclr; it is a setting of swav",
            ),
            (
                Arch::Resnet18,
                multi_crop(Method::SwAv, Some(64)),
                "multi-crop at 64: resnet18 has no size for the small crops, up to half of that; it is compiled for 64, 96, 128, 160 and 224",
            ),
            (
                small,
                groups(Method::SimSiam, &[(2, 32), (6, 16)]),
                "recipe.views[1]: 6 views of 16 x 16: simsiam takes 2 views of 32 x 32; views of several sizes are for swav",
            ),
            (
                small,
                groups(Method::Byol, &[(3, 32)]),
                "recipe.views: 3 views: must be 2, as the method takes",
            ),
            (
                small,
                groups(Method::SwAv, &[(2, 32), (6, 24)]),
                "recipe.views[1].size: 24: must be one of [16, 32, 64], which resnet18-cifar-w16 is compiled for",
            ),
            (
                small,
                groups(Method::SwAv, &[(2, 32), (1, 64)]),
                "recipe.views[1].size: 64: must be at most 32, the recipe's size",
            ),
            (
                small,
                groups(Method::SwAv, &[(1, 32), (6, 16)]),
                "recipe.views: 1 view of 32 x 32 and 6 of 16 x 16: must be at least 2 of 32 x 32, whose codes swav predicts",
            ),
            (
                small,
                recipe(
                    "[[views]]\ncount = 2\nsteps = [{ crop.resize_center.resize = 32 }, { custom.name = \"fog\" }]",
                ),
                "recipe.views[0].steps[1].custom: \"fog\": must be a built-in step here; steps of your own are for programs that embed the loader",
            ),
            (small, groups(Method::SwAv, &[(2, 32), (6, 0)]), "recipe.views[1].size: 0: must be 1 to 4096"),
        ] {
            assert_eq!(resolved(arch, overrides).unwrap_err(), expected);
        }
        let three = resolved(small, groups(Method::SwAv, &[(3, 32), (1, 16)])).unwrap();
        assert_eq!(three.views(), 4);
    }
}
