//! A second opinion on pairs that have similar features: whether their pixels rise and fall together.

use image::RgbImage;
use image::imageops::thumbnail;

/// From this correlation on, pixels agree. On CIFAR-10, whose near-duplicates are known (Barz & Denzler 2020, "Do we train on
/// test data?"), nearly all pairs above 0.93 are the same picture, and half of those between 0.9 and 0.91.
pub const LEAST_CORRELATION: f32 = 0.9;

/// Side of what is compared, in pixels: small enough that another compression or size hardly shows.
const SIDE: usize = 16;
const PIXELS: usize = SIDE * SIDE;

/// An image in 16 x 16 pixels, whatever its shape.
#[derive(Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Row after row, in each a red, green and blue value for each pixel.
    values: [[[u8; 3]; SIDE]; SIDE],
    sums: [u64; 3],
    /// The values' squared distances from their channel's mean, times the number of pixels.
    spread: u64,
}

/// How alike two images' pixels are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Pearson's correlation of the values about their channels' means, -1 to 1: brightness and contrast do not change it.
    pub correlation: f32,
    /// Whether the one was compared as in a mirror, since it is more alike so.
    pub mirrored: bool,
}

impl Thumbnail {
    /// Of an image.
    pub fn new(image: &RgbImage) -> Self {
        let small = thumbnail(image, SIDE as u32, SIDE as u32);
        let mut values = [[[0; 3]; SIDE]; SIDE];
        for (to, from) in values.as_flattened_mut().iter_mut().zip(small.pixels()) {
            *to = from.0;
        }
        let channel =
            |channel: usize| values.as_flattened().iter().map(move |pixel| u64::from(pixel[channel]));
        let sums = [0, 1, 2].map(|c| channel(c).sum::<u64>());
        let spread =
            |c: usize| PIXELS as u64 * channel(c).map(|value| value * value).sum::<u64>() - sums[c] * sums[c];
        Self { values, sums, spread: spread(0) + spread(1) + spread(2) }
    }

    /// How alike two images are.
    pub fn likeness(&self, other: &Self) -> Likeness {
        let upright = self.correlation(other, |row, column| other.values[row][column]);
        let mirrored = self.correlation(other, |row, column| other.values[row][SIDE - 1 - column]);
        Likeness { correlation: upright.max(mirrored), mirrored: mirrored > upright }
    }

    fn correlation(&self, other: &Self, pixel: impl Fn(usize, usize) -> [u8; 3]) -> f32 {
        let mut products = 0;
        for (row, values) in self.values.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let other = pixel(row, column);
                products += (0..3).map(|c| u32::from(value[c]) * u32::from(other[c])).sum::<u32>();
            }
        }
        let means: u64 = self.sums.iter().zip(other.sums).map(|(one, other)| one * other).sum();
        let together = PIXELS as f64 * f64::from(products) - means as f64;
        match self.spread as f64 * other.spread as f64 {
            // Of one colour each: alike only if it is the same.
            0.0 => f32::from(u8::from(self == other)),
            spreads => (together / spreads.sqrt()) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use image::imageops::{FilterType, flip_horizontal, resize};

    use super::*;

    fn picture(value: impl Fn(u32, u32) -> [u8; 3]) -> RgbImage {
        RgbImage::from_fn(40, 24, |x, y| Rgb(value(x, y)))
    }

    fn likeness(one: &RgbImage, other: &RgbImage) -> Likeness {
        Thumbnail::new(one).likeness(&Thumbnail::new(other))
    }

    #[test]
    fn the_same_picture_is_known_again_in_another_form() {
        let wave = picture(|x, y| [(6 * x) as u8, (10 * y) as u8, (3 * x + 4 * y) as u8]);
        assert_eq!(likeness(&wave, &wave), Likeness { correlation: 1.0, mirrored: false });
        let flipped = likeness(&flip_horizontal(&wave), &wave);
        assert!(flipped.correlation > 0.999 && flipped.mirrored, "{flipped:?}");
        let larger = resize(&wave, 200, 100, FilterType::Triangle);
        assert!(likeness(&wave, &larger).correlation > 0.99);
        let pale = picture(|x, y| [(3 * x + 90) as u8, (5 * y + 70) as u8, ((3 * x + 4 * y) / 2 + 80) as u8]);
        assert!(likeness(&wave, &pale).correlation > 0.99);
    }

    #[test]
    fn other_pictures_are_not() {
        let [across, down] = [picture(|x, _| [(6 * x) as u8; 3]), picture(|_, y| [(10 * y) as u8; 3])];
        assert!(likeness(&across, &down).correlation.abs() < 0.05);
        let negative = picture(|_, y| [255 - (10 * y) as u8; 3]);
        assert!(likeness(&down, &negative).correlation < -0.99);
        let [red, blue] = [picture(|_, _| [200, 0, 0]), picture(|_, _| [0, 0, 200])];
        assert_eq!(likeness(&red, &blue).correlation, 0.0);
        assert_eq!(likeness(&red, &red).correlation, 1.0);
        assert_eq!(likeness(&red, &down).correlation, 0.0);
    }
}
