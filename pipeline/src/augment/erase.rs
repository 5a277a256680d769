//! torchvision's `RandomErasing`, on bytes.

use super::planes::Planes;
use crate::image::Region;
use crate::rng::ViewRng;

/// `RandomErasing.get_params`: ten tries for a box that is smaller than the view.
pub(super) fn draw(rng: &mut ViewRng, size: usize, scale: (f64, f64), ratio: (f64, f64)) -> Option<Region> {
    let log_ratio = (libm::log(ratio.0), libm::log(ratio.1));
    for _ in 0..10 {
        let area = (size * size) as f64 * rng.uniform(scale.0, scale.1);
        let aspect = libm::exp(rng.uniform(log_ratio.0, log_ratio.1));
        let height = libm::rint(libm::sqrt(area * aspect)) as usize;
        let width = libm::rint(libm::sqrt(area / aspect)) as usize;
        if height < size && width < size {
            let top = rng.below((size - height + 1) as u32) as usize;
            let left = rng.below((size - width + 1) as u32) as usize;
            return Some(Region { top, left, height, width });
        }
    }
    None
}

/// Fills a box of square planes.
pub(super) fn erase(view: &mut Planes, size: usize, area: &Region, color: [u8; 3]) {
    for (plane, value) in view.split_mut().into_iter().zip(color) {
        for row in plane.chunks_exact_mut(size).skip(area.top).take(area.height) {
            row[area.left..area.left + area.width].fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_lie_inside_and_have_their_areas() {
        let mut areas = Vec::new();
        for sample in 0..4000 {
            let mut rng = ViewRng::new(1, 0, sample, 0);
            let found = draw(&mut rng, 100, (0.02, 0.33), (0.3, 3.3)).unwrap();
            assert!(found.top + found.height <= 100 && found.left + found.width <= 100);
            areas.push((found.height * found.width) as f64 / 1e4);
        }
        let mean = areas.iter().sum::<f64>() / areas.len() as f64;
        // Tall boxes of a large area are drawn again: a little below the middle of 0.02 and 0.33.
        assert!((0.16..0.18).contains(&mean), "{mean}");
    }

    #[test]
    fn only_the_box_is_filled() {
        let mut view = Planes::default();
        view.resize(9);
        erase(&mut view, 3, &Region { top: 1, left: 1, height: 2, width: 1 }, [1, 2, 3]);
        assert_eq!(view.split()[1], [0, 0, 0, 0, 2, 0, 0, 2, 0]);
    }
}
