//! What views need of an image, so that a decoder can leave out the rest.

use std::ops::Range;

use super::resize::Axis;
use super::{Recipe, ViewParams};
use crate::image::{Region, Scale, Wanted};

impl Recipe {
    /// The least that a decoder must deliver for `views`, drawn from this recipe for one image: the region that holds every
    /// pixel that a view depends on, and the smallest scale that `reducing_gap` allows. At a reduced scale, it is the pixels
    /// of the reduced image that the region touches.
    ///
    /// # Panics
    /// When there are no views.
    pub fn needed(&self, views: &[ViewParams]) -> Wanted {
        let seen = views.iter().map(|view| {
            let (columns, rows) = Axis::of_window(&view.window, 1);
            (columns.seen(), rows.seen())
        });
        let (columns, rows) = seen
            .reduce(|(columns, rows), (c, r)| (union(columns, c), union(rows, r)))
            .expect("an image is decoded for at least one view");
        let region =
            Region { top: rows.start, left: columns.start, height: rows.len(), width: columns.len() };
        Wanted { region, scale: self.scale(views) }
    }

    /// The smallest scale that leaves each crop `reducing_gap` times as large as its view, both ways.
    fn scale(&self, views: &[ViewParams]) -> Scale {
        let Some(gap) = self.reducing_gap else { return Scale::Full };
        let allowed = |scale: &Scale| {
            let leaves = |from: usize, to: usize| from as f64 >= gap * (to * scale.denominator()) as f64;
            views.iter().map(|view| view.window).all(|window| {
                leaves(window.source.width, window.scaled_width)
                    && leaves(window.source.height, window.scaled_height)
            })
        };
        [Scale::Eighth, Scale::Quarter, Scale::Half].into_iter().find(allowed).unwrap_or(Scale::Full)
    }
}

/// The smallest range that holds both.
fn union(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    a.start.min(b.start)..a.end.max(b.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::ViewRng;

    #[test]
    fn crops_need_their_union() {
        let recipe = Recipe { size: 32, reducing_gap: None, ..Recipe::imagenet() };
        for sample in 0..200 {
            let views = [0, 1].map(|view| recipe.draw(0, &mut ViewRng::new(4, 0, sample, view), 468, 401));
            let Wanted { region: part, scale } = recipe.needed(&views);
            let sources = views.map(|view| view.window.source);
            let [a, b] = sources;
            let right = (a.left + a.width).max(b.left + b.width);
            let bottom = (a.top + a.height).max(b.top + b.height);
            assert_eq!((part.left, part.top), (a.left.min(b.left), a.top.min(b.top)));
            assert_eq!((part.left + part.width, part.top + part.height), (right, bottom));
            assert_eq!(scale, Scale::Full, "full size unless the recipe allows less");
        }
    }

    #[test]
    fn evaluation_needs_the_center() {
        let recipe = Recipe::imagenet().evaluation();
        let view = recipe.draw(0, &mut ViewRng::new(0, 0, 0, 0), 1000, 500);
        let Region { top, left, height, width } = recipe.needed(&[view]).region;
        // 1000 x 500 becomes 512 x 256; the view shows 144 to 368 and 16 to 240, the filter reaches 1.95 further.
        assert_eq!((left, left + width), (280, 720));
        assert_eq!((top, top + height), (30, 470));
    }

    #[test]
    fn a_reduced_part_holds_what_is_seen_of_it() {
        for recipe in [Recipe::imagenet(), Recipe::imagenet().evaluation()] {
            let recipe = Recipe { size: recipe.size / 2, reducing_gap: Some(1.0), ..recipe };
            for sample in 0..500 {
                let (width, height) = (700 + sample as usize * 7, 3000 - sample as usize * 5);
                let view = recipe.draw(0, &mut ViewRng::new(5, 0, sample, 0), width, height);
                let Wanted { region: Region { top, left, height, width }, scale } =
                    recipe.needed(std::slice::from_ref(&view));
                let denominators = [2, 4, 8].into_iter().filter(|&allowed| allowed <= scale.denominator());
                for denominator in denominators {
                    let (columns, rows) = Axis::of_window(&view.window, denominator);
                    for (seen, first, length) in [(columns.seen(), left, width), (rows.seen(), top, height)] {
                        assert!(first / denominator <= seen.start);
                        assert!(seen.end <= (first + length).div_ceil(denominator));
                    }
                }
            }
        }
    }

    #[test]
    fn the_gap_is_left_by_every_view() {
        let window = |width, height| {
            let recipe = Recipe { size: 100, ..Recipe::imagenet() };
            let mut view = recipe.draw(0, &mut ViewRng::new(0, 0, 0, 0), 4000, 4000);
            view.window.source = Region { top: 0, left: 0, height, width };
            view
        };
        let denominator = |gap, views: &[ViewParams]| {
            Recipe { size: 100, reducing_gap: gap, ..Recipe::imagenet() }.needed(views).scale.denominator()
        };
        assert_eq!(denominator(None, &[window(4000, 4000)]), 1);
        assert_eq!(denominator(Some(2.0), &[window(4000, 4000)]), 8);
        assert_eq!(denominator(Some(2.0), &[window(1600, 1600)]), 8);
        assert_eq!(denominator(Some(2.0), &[window(1600, 1599)]), 4);
        assert_eq!(denominator(Some(2.0), &[window(4000, 4000), window(500, 4000)]), 2);
        assert_eq!(denominator(Some(1.0), &[window(199, 4000)]), 1);
    }
}
