//! One image of the set: a pattern in random colours, place, size, light and noise.

use std::f32::consts::TAU;

use image::{Rgb, RgbImage};

use super::pattern::{Class, Pattern};
use super::random::Random;

/// Periods of a pattern across the image.
const PERIODS: (f32, f32) = (2.6, 4.6);
/// Standard deviation of the noise, of 1.0.
const NOISE: (f32, f32) = (0.02, 0.04);

/// Draws an image of the class. All but the pattern is drawn from one distribution, whatever the class; only rings
/// are placed so that their centre is in the image.
pub(super) fn paint(class: Class, side: u32, random: &mut Random) -> RgbImage {
    let pattern = Pattern::draw(class, random);
    let placement = Placement::draw(class, random);
    let (ink, paper) = Wash::draw_pair(random);
    let noise = random.range(NOISE.0, NOISE.1);
    let pixel = placement.periods / side as f32;
    RgbImage::from_fn(side, side, |column, row| {
        let x = (column as f32 + 0.5) / side as f32 - 0.5;
        let y = (row as f32 + 0.5) / side as f32 - 0.5;
        let (u, v) = placement.to_pattern(x, y);
        let coverage = (0.5 - pattern.distance(u, v) / pixel).clamp(0.0, 1.0);
        let (over, under) = (ink.at(x, y), paper.at(x, y));
        Rgb(std::array::from_fn(|c| {
            let value = under[c] + coverage * (over[c] - under[c]) + noise * random.gaussian();
            (value.clamp(0.0, 1.0) * 255.0).round() as u8
        }))
    })
}

/// Maps the image onto the pattern's plane: size, turn and shift.
struct Placement {
    periods: f32,
    sin: f32,
    cos: f32,
    shift: (f32, f32),
}

impl Placement {
    fn draw(class: Class, random: &mut Random) -> Self {
        let periods = random.range(PERIODS.0, PERIODS.1);
        let (sin, cos) = (TAU * random.unit()).sin_cos();
        let shift = match class {
            Class::Rings => (0.6 * periods * (random.unit() - 0.5), 0.6 * periods * (random.unit() - 0.5)),
            _ => (16.0 * random.unit(), 16.0 * random.unit()),
        };
        Self { periods, sin, cos, shift }
    }

    fn to_pattern(&self, x: f32, y: f32) -> (f32, f32) {
        let (u, v) = (self.cos * x - self.sin * y, self.sin * x + self.cos * y);
        (self.periods * u + self.shift.0, self.periods * v + self.shift.1)
    }
}

/// A colour that changes along a straight line from one edge of the image to the other.
struct Wash {
    from: [f32; 3],
    to: [f32; 3],
    direction: (f32, f32),
}

impl Wash {
    /// Two washes that differ in lightness everywhere, either of them the lighter. Their middle and difference vary
    /// about as much as the augmentations' brightness and contrast, so they are no sign of an image either.
    fn draw_pair(random: &mut Random) -> (Self, Self) {
        let contrast = random.range(0.35, 0.55);
        let middle = random.range(0.42, 0.58);
        let half = if random.chance(0.5) { contrast / 2.0 } else { -contrast / 2.0 };
        (Self::draw(middle + half, random), Self::draw(middle - half, random))
    }

    fn draw(lightness: f32, random: &mut Random) -> Self {
        let direction = (TAU * random.unit()).sin_cos();
        let slope = random.range(-0.1, 0.1);
        Self { from: colour(lightness - slope, random), to: colour(lightness + slope, random), direction }
    }

    fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let t = (0.5 + x * self.direction.0 + y * self.direction.1).clamp(0.0, 1.0);
        std::array::from_fn(|c| self.from[c] + t * (self.to[c] - self.from[c]))
    }
}

/// A random colour of this lightness (ITU-R 601 luma), not far from gray.
///
/// The augmentations change brightness and contrast much and hue little. A strong hue would be the easiest way to
/// know an image's two views by, and an encoder trained for minutes would learn little else.
fn colour(lightness: f32, random: &mut Random) -> [f32; 3] {
    let raw: [f32; 3] = std::array::from_fn(|_| random.unit());
    let luma = 0.299 * raw[0] + 0.587 * raw[1] + 0.114 * raw[2];
    let strength = random.range(0.0, 0.12);
    raw.map(|v| (lightness + strength * (v - luma)).clamp(0.0, 1.0))
}
