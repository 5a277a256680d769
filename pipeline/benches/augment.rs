//! Decoding and augmenting, on images made here. A quick check: `cargo bench -p simsiam-pipeline -- --test`.
//!
//! With `SIMSIAM_BENCH_SHARD=FILE.tar` the images of that shard take part too.

#![expect(clippy::unwrap_used, reason = "a bench that cannot read its input has nothing to measure")]

mod pictures;

use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use simsiam_pipeline::Instructions;
use simsiam_pipeline::augment::{
    Augmenter, ColorJitter, GaussianBlur, Layout, Recipe, Step, ViewParams, Views,
};
use simsiam_pipeline::decode::{DecodeLimits, Decoder, probe};
use simsiam_pipeline::image::{Region, RgbImage};
use simsiam_pipeline::rng::ViewRng;

use pictures::{jpeg, jpegs_of, textured};

criterion_group!(benches, made_images, one_operation, resize, shard);
criterion_main!(benches);

fn made_images(criterion: &mut Criterion) {
    bench_sample(criterion, "photo 500x375", &[jpeg(500, 375)], Recipe::imagenet());
    bench_sample(criterion, "cifar 32x32", &[jpeg(32, 32)], Recipe::cifar10());
}

fn shard(criterion: &mut Criterion) {
    let Some(path) = std::env::var_os("SIMSIAM_BENCH_SHARD") else { return };
    let files = jpegs_of(Path::new(&path), 500);
    let info = probe(&files[0]).unwrap();
    let recipe = if info.width <= 64 { Recipe::cifar10() } else { Recipe::imagenet() };
    bench_sample(criterion, "shard", &files, recipe);
}

/// Decode alone, and decode with two views, going round the files; the time is that of one file.
fn bench_sample(criterion: &mut Criterion, name: &str, files: &[Vec<u8>], recipe: Recipe) {
    let mut group = criterion.benchmark_group(name);
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut samples = files.iter().cycle();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decoder.decode(samples.next().unwrap()).unwrap().pixels.len());
    });

    let mut augmenter = Augmenter::new(recipe.clone());
    let mut out = vec![0.0; 3 * recipe.size * recipe.size];
    let mut sample = 0;
    group.bench_function("decode and two views", |bencher| {
        bencher.iter(|| {
            let image = decoder.decode(&files[sample % files.len()]).unwrap();
            for view in 0..2 {
                let mut rng = ViewRng::new(1, 0, sample as u64, view as u64);
                let params = recipe.draw(view, &mut rng, image.width, image.height);
                augmenter.view(image.into(), &params, Layout::Nchw, &mut out).unwrap();
            }
            sample += 1;
        });
    });
}

/// The cost of each operation of a 224 view: the view with it alone, to be compared with `crop`; with the processor's
/// best instructions and with plain ones. Random views of a photograph of ImageNet's mean size.
fn one_operation(criterion: &mut Criterion) {
    let (width, height) = (468, 401);
    let pixels = textured(width, height);
    let image = RgbImage { width, height, pixels: &pixels };
    let full = Recipe::imagenet();
    let crop = Recipe { color_jitter: None, grayscale_p: 0.0, blur: None, ..full.clone() };
    let jitter = full.color_jitter.map(|jitter| ColorJitter { p: 1.0, ..jitter });
    let blur = full.blur.map(|blur| GaussianBlur { p: 1.0, ..blur });
    let of_steps = |step| {
        let steps = vec![Step::Crop(crop.crop.unwrap()), step];
        Recipe { crop: None, views: vec![Views { count: 1, size: None, steps }], ..crop.evaluation() }
    };
    let recipes = [
        ("crop", crop.clone()),
        ("crop and jitter", Recipe { color_jitter: jitter, ..crop.clone() }),
        ("crop and gray", Recipe { grayscale_p: 1.0, ..crop.clone() }),
        ("crop and blur", Recipe { blur, ..crop.clone() }),
        ("crop and RandAugment", of_steps(Step::RandAugment { operations: 2, magnitude: 9 })),
        ("crop and TrivialAugment", of_steps(Step::TrivialAugment {})),
        ("all", full),
    ];
    let mut out = vec![0.0f32; 3 * 224 * 224];
    for (name, recipe) in recipes {
        let mut group = criterion.benchmark_group(format!("view 224, {name}"));
        for (name, instructions) in [("simd", Instructions::Detected), ("plain", Instructions::Plain)] {
            let mut augmenter = Augmenter::with_instructions(recipe.clone(), instructions);
            let draws = draws(&recipe, width, height);
            let mut draws = draws.iter().cycle();
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    augmenter.view(image.into(), draws.next().unwrap(), Layout::Nchw, &mut out).unwrap()
                });
            });
        }
    }
}

/// Crop and resize to bytes, beside a crate that does nothing else. It rounds its weights to 16 bits or fewer, and so its
/// pixels now and then differ from Pillow's by one.
fn resize(criterion: &mut Criterion) {
    use fast_image_resize::images::{Image, ImageRef};
    use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

    let (width, height) = (468, 401);
    let pixels = textured(width, height);
    let image = RgbImage { width, height, pixels: &pixels };
    let recipe =
        Recipe { color_jitter: None, grayscale_p: 0.0, blur: None, flip_p: 0.0, ..Recipe::imagenet() };
    let mut group = criterion.benchmark_group("crop and resize to 224");

    let mut augmenter = Augmenter::new(recipe.clone());
    let mut out = vec![0u8; 3 * 224 * 224];
    let views = draws(&recipe, width, height);
    let mut views = views.iter().cycle();
    group.bench_function("simsiam", |bencher| {
        bencher.iter(|| augmenter.view(image.into(), views.next().unwrap(), Layout::Nhwc, &mut out).unwrap());
    });

    let source = ImageRef::new(width as u32, height as u32, &pixels, PixelType::U8x3).unwrap();
    let mut target = Image::new(224, 224, PixelType::U8x3);
    let mut resizer = Resizer::new();
    let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let views = draws(&recipe, width, height);
    let mut views = views.iter().cycle();
    group.bench_function("fast_image_resize", |bencher| {
        bencher.iter(|| {
            let Region { top, left, width, height } = views.next().unwrap().window.source;
            let options = bilinear.crop(left as f64, top as f64, width as f64, height as f64);
            resizer.resize(&source, &mut target, &options).unwrap();
        });
    });
}

/// The parameters of many views, always the same.
fn draws(recipe: &Recipe, width: usize, height: usize) -> Vec<ViewParams> {
    (0..256).map(|sample| recipe.draw(0, &mut ViewRng::new(1, 0, sample, 0), width, height)).collect()
}
