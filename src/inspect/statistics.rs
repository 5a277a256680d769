//! Mean and standard deviation of the pixels: what views are normalised by.
//!
//! The pixels are those of plain views, as an evaluation sees them: the shorter side resized and the centre cut out, so that
//! every image weighs the same whatever its size. ImageNet's customary mean is taken over such views, too; of images that
//! all have the views' size, such as CIFAR's, they are all pixels.

use std::fmt;

use serde::Serialize;

use crate::console::counted;

/// Deviations are summed in units of 2^-20 of a byte's step.
const DEVIATION_STEPS: f64 = (1 << 20) as f64;
/// Values that are summed before a 32-bit sum of squares could overflow.
const RUN: usize = 1 << 16;

/// Sums over views of bytes. They are whole numbers, so neither order nor grouping changes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PixelSums {
    images: u64,
    /// Of one channel.
    pixels: u64,
    channels: [ChannelSums; 3],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ChannelSums {
    values: u64,
    squares: u64,
    /// The images' own standard deviations.
    deviations: u64,
}

impl PixelSums {
    /// Adds an image: `3 x size x size` bytes.
    pub fn add(&mut self, view: &[u8]) {
        let pixels = view.len() / 3;
        self.images += 1;
        self.pixels += pixels as u64;
        for (channel, plane) in self.channels.iter_mut().zip(view.chunks_exact(pixels)) {
            let (values, squares) = sums(plane);
            channel.values += values;
            channel.squares += squares;
            channel.deviations +=
                (deviation(values, squares, pixels as u64) * DEVIATION_STEPS).round() as u64;
        }
    }

    /// What they amount to, of views of `size` pixels a side; `None` without an image.
    pub fn statistics(&self, size: usize) -> Option<Statistics> {
        let Self { images, pixels, channels } = self;
        let mean = |sum: &ChannelSums| sum.values as f64 / *pixels as f64 / 255.0;
        let std = |sum: &ChannelSums| deviation(sum.values, sum.squares, *pixels) / 255.0;
        let own_std = |sum: &ChannelSums| sum.deviations as f64 / DEVIATION_STEPS / *images as f64 / 255.0;
        (*images > 0).then(|| Statistics {
            images: *images,
            size,
            mean: channels.each_ref().map(mean),
            std: channels.each_ref().map(std),
            own_std: channels.each_ref().map(own_std),
        })
    }
}

/// The sum of bytes and that of their squares.
fn sums(bytes: &[u8]) -> (u64, u64) {
    bytes.chunks(RUN).fold((0, 0), |(values, squares), run| {
        let (mut run_values, mut run_squares) = (0u32, 0u32);
        for &byte in run {
            run_values += u32::from(byte);
            run_squares += u32::from(byte) * u32::from(byte);
        }
        (values + u64::from(run_values), squares + u64::from(run_squares))
    })
}

/// The standard deviation of `count` values, from their sum and that of their squares: exact up to the root.
fn deviation(values: u64, squares: u64, count: u64) -> f64 {
    let (values, squares, count) = (u128::from(values), u128::from(squares), u128::from(count));
    ((count * squares - values * values) as f64).sqrt() / count as f64
}

/// What the pixels of some images amount to, values in 0 to 1. Displays as the `[recipe]` of a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// How many images.
    pub images: u64,
    /// Side of their views, in pixels.
    pub size: usize,
    /// The mean of each channel.
    pub mean: [f64; 3],
    /// The standard deviation of each channel, over all pixels of all views.
    pub std: [f64; 3],
    /// The mean over the images of each one's own standard deviation: less than `std`, since images differ in brightness.
    pub own_std: [f64; 3],
}

impl Statistics {
    /// The first channel that could not be normalised by what is displayed: its deviation is shown as 0.
    pub fn constant_channel(&self) -> Option<&'static str> {
        let names = ["red", "green", "blue"];
        names.into_iter().zip(self.std).find(|(_, std)| *std < 0.00005).map(|(name, _)| name)
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, size, mean, std, own_std } = self;
        let values = |[red, green, blue]: &[f64; 3]| format!("[{red:.4}, {green:.4}, {blue:.4}]");
        let images = counted(*images, "image");
        writeln!(f, "# {images} as plain views of {size} x {size}, every image weighs the same")?;
        writeln!(f, "# the images' own standard deviations, on average: {}", values(own_std))?;
        write!(f, "[recipe]\nmean = {}\nstd = {}", values(mean), values(std))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of two pixels: the one black and white, the other gray, its blue 51 and 102.
    fn two_images() -> PixelSums {
        let mut sums = PixelSums::default();
        sums.add(&[0, 255, 0, 255, 0, 255]);
        sums.add(&[102, 102, 102, 102, 51, 102]);
        sums
    }

    #[test]
    fn sums_amount_to_the_definitions() {
        let found = two_images().statistics(1).unwrap();
        let (mean, blue_mean): (f64, f64) = (0.45, 0.4); // of 0, 1, 0.4, 0.4 and of 0, 1, 0.2, 0.4
        let std = ((1.0 + 2.0 * 0.16) / 4.0 - mean * mean).sqrt();
        let blue_std = ((1.0 + 0.04 + 0.16) / 4.0 - blue_mean * blue_mean).sqrt();
        for (found, expected) in [
            (found.mean, [mean, mean, blue_mean]),
            (found.std, [std, std, blue_std]),
            (found.own_std, [0.25, 0.25, 0.3]),
        ] {
            let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
            assert!(near, "{found:?}, not {expected:?}");
        }
        assert_eq!(PixelSums::default().statistics(1), None);
    }

    #[test]
    fn sums_are_the_same_in_any_order() {
        let images: Vec<[u8; 12]> =
            (0..50u8).map(|i| std::array::from_fn(|j| i.wrapping_mul(37 + j as u8))).collect();
        let sums = |images: &mut dyn Iterator<Item = &[u8; 12]>| {
            let mut sums = PixelSums::default();
            images.for_each(|image| sums.add(image));
            sums
        };
        assert_eq!(sums(&mut images.iter()), sums(&mut images.iter().rev()));
    }

    #[test]
    fn long_sums_do_not_overflow() {
        assert_eq!(
            sums(&vec![255; 3 * RUN + 1]),
            ((3 * RUN as u64 + 1) * 255, (3 * RUN as u64 + 1) * 65_025)
        );
        let white = 1 << 47; // bytes of a channel, as of 2.8 billion images of 224 x 224
        assert_eq!(deviation(white * 255, white * 65_025, white), 0.0);
    }

    #[test]
    fn displays_as_a_recipe() {
        let expected = "\
# 2 images as plain views of 1 x 1, every image weighs the same
# the images' own standard deviations, on average: [0.2500, 0.2500, 0.3000]
[recipe]
mean = [0.4500, 0.4500, 0.4000]
std = [0.3571, 0.3571, 0.3742]";
        assert_eq!(two_images().statistics(1).unwrap().to_string(), expected);
    }

    #[test]
    fn a_channel_of_one_value_is_named() {
        let mut sums = PixelSums::default();
        sums.add(&[1, 2, 7, 7, 3, 3]);
        assert_eq!(sums.statistics(1).unwrap().constant_channel(), Some("green"));
        assert_eq!(two_images().statistics(1).unwrap().constant_channel(), None);
    }
}
