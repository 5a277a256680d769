//! From golden files to views: whatever the instructions, and whether the whole image or a part of it is decoded.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, stop at the first surprise")]

use std::fs;
use std::path::Path;

use simsiam_pipeline::augment::{Augmenter, Layout};
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
    let jpegs = paths.filter(|path| path.extension().is_some_and(|it| it == "jpg"));
    jpegs.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

/// The views of one sample, bytes and normalised values.
fn views(maker: &mut ViewMaker, file: &[u8], sample: u64) -> Vec<([u8; 3 * SIZE * SIZE], Vec<f32>)> {
    let mut decoded = maker.decode(file, 0, sample).unwrap();
    let render = |view| {
        let (mut bytes, mut values) = ([0; 3 * SIZE * SIZE], vec![0.0; 3 * SIZE * SIZE]);
        decoded.render(view, Layout::Nhwc, &mut bytes);
        decoded.render(view, Layout::Nchw, &mut values);
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
                let params = recipe.draw(rng, whole.width, whole.height);
                augmenter.view(whole.into(), &params, Layout::Nhwc, &mut expected);
                assert!(found == expected, "{name}, sample {sample}, view {view}");
            }
        }
    }
}

#[test]
fn images_beyond_the_limits_are_refused() {
    let limits = DecodeLimits { max_pixels: 0 };
    let mut maker = ViewMaker::new(recipe(None), VIEWS, SEED).with_limits(limits);
    let (_, file) = &files()[0];
    assert!(matches!(maker.decode(file, 0, 0), Err(DecodeError::TooLarge { max_pixels: 0, .. })));
}
