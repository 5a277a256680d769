//! From golden files to views: whatever the instructions, and whether the whole image or a part of it is decoded.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, stop at the first surprise")]

use std::fs;
use std::path::Path;

use simsiam_pipeline::augment::{Augmenter, Layout, Plan, ViewGroup, Views};
use simsiam_pipeline::decode::{DecodeError, DecodeLimits, Decoder};
use simsiam_pipeline::rng::ViewRng;
use simsiam_pipeline::views::ViewMaker;
use simsiam_pipeline::{Instructions, Recipe};

const SIZE: usize = 16;
const SEED: u64 = 3;
const VIEWS: usize = 2;

fn recipe(reducing_gap: Option<f64>) -> Recipe {
    Recipe { size: SIZE, reducing_gap, ..Recipe::imagenet() }
}

/// The golden JPEGs, by their names.
fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut jpegs: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "jpg")).collect();
    jpegs.sort();
    jpegs.into_iter().map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

/// The views of one sample, bytes and normalised values.
fn views(maker: &mut ViewMaker, file: &[u8], sample: u64) -> Vec<([u8; 3 * SIZE * SIZE], Vec<f32>)> {
    let mut decoded = maker.decode(file, 0, sample).unwrap();
    let render = |view| {
        let (mut bytes, mut values) = ([0; 3 * SIZE * SIZE], vec![0.0; 3 * SIZE * SIZE]);
        decoded.render(view, Layout::Nhwc, &mut bytes).unwrap();
        decoded.render(view, Layout::Nchw, &mut values).unwrap();
        (bytes, values)
    };
    (0..VIEWS).map(render).collect()
}

#[test]
fn views_are_the_same_on_every_instruction_set() {
    for gap in [None, Some(2.0)] {
        let [mut detected, mut plain] = [Instructions::Detected, Instructions::Plain]
            .map(|instructions| ViewMaker::new(recipe(gap), VIEWS, SEED).with_instructions(instructions));
        for (name, file) in files() {
            for sample in 0..10 {
                let found = views(&mut detected, &file, sample);
                assert!(found == views(&mut plain, &file, sample), "{name}, sample {sample}, gap {gap:?}");
            }
        }
    }
}

#[test]
fn views_of_a_part_are_those_of_the_whole() {
    let recipe = recipe(None);
    let mut maker = ViewMaker::new(recipe.clone(), VIEWS, SEED);
    let (mut decoder, mut augmenter) = (Decoder::default(), Augmenter::new(recipe.clone()));
    for (name, file) in files() {
        let whole = decoder.decode(&file).unwrap();
        for sample in 0..10 {
            for (view, (found, _)) in views(&mut maker, &file, sample).into_iter().enumerate() {
                let rng = &mut ViewRng::new(SEED, 0, sample, view as u64);
                let mut expected = [0; 3 * SIZE * SIZE];
                let params = recipe.draw(view, rng, whole.width, whole.height);
                augmenter.view(whole.into(), &params, Layout::Nhwc, &mut expected).unwrap();
                assert!(found == expected, "{name}, sample {sample}, view {view}");
            }
        }
    }
}

/// What a recipe draws and does is part of what a seed means: these change only with the version of its streams.
#[test]
fn recipes_keep_their_bytes() {
    const EXPECTED: [u32; 6] =
        [3_056_285_794, 1_720_110_303, 1_866_599_088, 3_554_495_193, 2_658_637_600, 2_037_755_024];
    let (_, file) = &files()[0];
    let recipes = [
        (Recipe::imagenet(), 1),
        (Recipe::cifar10(), 1),
        (Recipe::imagenet().evaluation(), 1),
        (Recipe::imagenet().byol(), 2),
        (every_step(), 2),
        (Recipe::imagenet().swav(96), 2),
    ];
    for instructions in [Instructions::Detected, Instructions::Plain] {
        let checksums = recipes.each_ref().map(|(recipe, version)| {
            assert_eq!(Plan::new(recipe).version(), *version);
            let count = recipe.views_of_an_image().unwrap_or(VIEWS);
            let mut maker = ViewMaker::new(recipe.clone(), count, SEED).with_instructions(instructions);
            let sizes: Vec<usize> = ViewGroup::sizes(&recipe.groups(count)).collect();
            let mut bytes = vec![0; 3 * recipe.size * recipe.size];
            let mut checksum = crc32fast::Hasher::new();
            for sample in 0..8 {
                let mut decoded = maker.decode(file, 0, sample).unwrap();
                for (view, size) in sizes.iter().enumerate() {
                    let bytes = &mut bytes[..3 * size * size];
                    decoded.render(view, Layout::Nhwc, bytes).unwrap();
                    checksum.update(bytes);
                }
            }
            checksum.finalize()
        });
        assert_eq!(checksums, EXPECTED, "{instructions:?}");
    }
}

/// A worker's scratch memory goes from one size to another and back: it must not show.
#[test]
fn a_small_view_is_that_of_a_maker_for_its_size_alone() {
    let recipe = Recipe { reducing_gap: None, ..Recipe::imagenet().swav(96) };
    let alone = Recipe { size: 96, views: vec![recipe.views[1].clone(); 2], ..recipe.clone() };
    let (mut maker, mut of_small) = (ViewMaker::new(recipe, 8, SEED), ViewMaker::new(alone, 12, SEED));
    let [mut found, mut expected] = [[0; 3 * 96 * 96]; 2];
    for (name, file) in files() {
        for sample in 0..4 {
            let mut decoded = maker.decode(&file, 0, sample).unwrap();
            decoded.render(0, Layout::Nchw, &mut vec![0; 3 * 224 * 224]).unwrap();
            decoded.render(7, Layout::Nchw, &mut found).unwrap();
            of_small.decode(&file, 0, sample).unwrap().render(7, Layout::Nchw, &mut expected).unwrap();
            assert!(found == expected, "{name}, sample {sample}");
        }
    }
}

/// Every step that a recipe can list, each certain.
fn every_step() -> Recipe {
    let steps = serde_json::json!([
        { "crop": { "random_resized": { "scale": [0.2, 1.0], "ratio": [0.75, 1.25] } } },
        { "color_jitter": { "p": 1, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1,
            "order": ["hue", "brightness", "contrast", "saturation"] } },
        { "gaussian_blur": { "p": 1, "sigma": [0.1, 2.0] } },
        { "horizontal_flip": {} }, { "vertical_flip": { "p": 0.5 } }, { "grayscale": { "p": 0.5 } },
        { "posterize": { "bits": 5 } }, { "sharpness": { "factor": [0.5, 2.0] } }, { "equalize": { "p": 0.5 } },
        { "autocontrast": {} }, { "invert": { "p": 0.5 } }, { "solarize": { "threshold": 200 } },
        { "rotate": { "degrees": 20 } }, { "shift": { "pixels": 4 } },
        { "affine": { "degrees": 5, "translate": [0.1, 0.1], "scale": [0.8, 1.2], "shear": 10 } },
        { "rand_augment": { "operations": 2, "magnitude": 9 } }, { "trivial_augment": {} },
        { "erase": { "scale": [0.02, 0.33], "ratio": [0.3, 3.3] } }, { "gaussian_noise": { "sigma": 0.05 } },
        { "horizontal_flip": {} }
    ]);
    let views = vec![Views { count: 3, size: None, steps: serde_json::from_value(steps).unwrap() }];
    let recipe = Recipe { crop: None, size: 48, views, ..Recipe::imagenet().evaluation() };
    recipe.validate().unwrap();
    recipe
}

#[test]
fn images_beyond_the_limits_are_refused() {
    let limits = DecodeLimits { max_pixels: 0 };
    let mut maker = ViewMaker::new(recipe(None), VIEWS, SEED).with_limits(limits);
    let (_, file) = &files()[0];
    assert!(matches!(maker.decode(file, 0, 0), Err(DecodeError::TooLarge { max_pixels: 0, .. })));
}
