//! Views of a large photograph that was decoded at a reduced size, against those of the whole.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, stop at the first surprise")]

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage};
use simsiam_pipeline::views::ViewMaker;
use simsiam_pipeline::{Layout, Recipe};

const SIZE: usize = 32;

#[test]
fn reduced_decoding_hardly_shows() {
    let jpeg = photograph(1200, 900);
    let views = |gap: Option<f64>| {
        let recipe =
            Recipe { size: SIZE, color_jitter: None, blur: None, reducing_gap: gap, ..Recipe::imagenet() };
        let mut maker = ViewMaker::new(recipe, 2, 0);
        let mut views = Vec::new();
        for sample in 0..40 {
            let mut decoded = maker.decode(&jpeg, 0, sample).unwrap();
            for view in 0..2 {
                let mut pixels = [0u8; 3 * SIZE * SIZE];
                decoded.render(view, Layout::Nhwc, &mut pixels).unwrap();
                views.extend(pixels);
            }
        }
        views
    };
    let exact = views(None);
    for (gap, bound) in [(8.0, 0.5), (2.0, 1.0)] {
        let reduced = views(Some(gap));
        let errors: Vec<u8> = exact.iter().zip(&reduced).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = errors.iter().map(|&error| f64::from(error)).sum::<f64>() / errors.len() as f64;
        println!("reducing gap {gap}: mean error {mean:.3}, largest {}", errors.iter().max().unwrap());
        assert!(mean > 0.0, "gap {gap} reduces nothing");
        assert!(mean < bound, "gap {gap}: mean error {mean}");
    }
}

/// Edges and waves of many sizes.
fn photograph(width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        let wave = 50.0 * (x / 61.0).sin() * (y / 47.0).cos() + 20.0 * (x / 5.0 + y / 7.0).sin();
        let edge = if (x / 90.0).floor() as i64 % 3 == (y / 110.0).floor() as i64 % 3 { 40.0 } else { -20.0 };
        image::Rgb([1.0, 0.8, -0.6].map(|weight: f64| (128.0 + weight * (wave + edge)) as u8))
    });
    let mut file = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut file, 90)
        .encode(&image, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    file.into_inner()
}
