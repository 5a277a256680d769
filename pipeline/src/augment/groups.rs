//! Groups of views: what each group goes through, and its size.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Recipe, Step};

/// Some views of an image that go through the same steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Views {
    /// How many.
    #[serde(default = "one")]
    pub count: usize,
    /// Side of each, in pixels; left out, the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// What happens to each, first to last. The first step is the crop.
    pub steps: Vec<Step>,
}

fn one() -> usize {
    1
}

/// How many views of an image have which size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ViewGroup {
    /// How many.
    pub count: usize,
    /// Side of each, in pixels.
    pub size: usize,
}

impl ViewGroup {
    /// The side of each view of an image, in the order of the views.
    pub fn sizes(groups: &[Self]) -> impl Iterator<Item = usize> + '_ {
        groups.iter().flat_map(|group| std::iter::repeat_n(group.size, group.count))
    }

    /// As in `2 views of 224 x 224 and 6 of 96 x 96`.
    pub fn listed(groups: &[Self]) -> String {
        let mut sizes: Vec<Self> = Vec::new();
        for group in groups {
            match sizes.last_mut() {
                Some(last) if last.size == group.size => last.count += group.count,
                _ => sizes.push(*group),
            }
        }
        let Some((first, rest)) = sizes.split_first() else { return "no views".into() };
        let mut text = first.to_string();
        for (number, Self { count, size }) in rest.iter().enumerate() {
            let before = if number + 1 == rest.len() { " and" } else { "," };
            text += &format!("{before} {count} of {size} x {size}");
        }
        text
    }
}

impl fmt::Display for ViewGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, size } = self;
        write!(f, "{count} view{} of {size} x {size}", if *count == 1 { "" } else { "s" })
    }
}

impl Recipe {
    /// The groups of an image's views, in their order: those that the recipe lists, or else one of `views` views.
    pub fn groups(&self, views: usize) -> Vec<ViewGroup> {
        if self.views.is_empty() {
            return vec![ViewGroup { count: views, size: self.size }];
        }
        let group = |group: &Views| ViewGroup { count: group.count, size: group.size.unwrap_or(self.size) };
        self.views.iter().map(group).collect()
    }

    /// How many views an image has, if the recipe says so.
    pub fn views_of_an_image(&self) -> Option<usize> {
        (!self.views.is_empty()).then(|| self.views.iter().map(|views| views.count).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_their_own_size_or_the_recipes() {
        let recipe = Recipe::imagenet().swav(96);
        let groups = recipe.groups(2);
        assert_eq!(groups, [ViewGroup { count: 2, size: 224 }, ViewGroup { count: 6, size: 96 }]);
        assert_eq!(ViewGroup::sizes(&groups).collect::<Vec<_>>(), [224, 224, 96, 96, 96, 96, 96, 96]);
        assert_eq!(ViewGroup::listed(&groups), "2 views of 224 x 224 and 6 of 96 x 96");
        let alike = Recipe::cifar10().groups(3);
        assert_eq!(ViewGroup::listed(&alike), "3 views of 32 x 32");
        let of_byol = Recipe::cifar10().byol().groups(2);
        assert_eq!(ViewGroup::listed(&of_byol), "2 views of 32 x 32");
    }

    #[test]
    fn a_groups_size_is_read_and_left_out_where_it_is_the_recipes() {
        let text = "count = 6\nsize = 96\nsteps = [{ crop = { random_resized = { scale = [0.05, 0.14], ratio = [0.75, 1.33] } } }]\n";
        let views: Views = toml::from_str(text).unwrap();
        assert_eq!((views.count, views.size), (6, Some(96)));
        let plain = toml::to_string(&Views { size: None, ..views }).unwrap();
        assert!(!plain.contains("size ="), "{plain}");
    }
}
