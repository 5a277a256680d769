//! Every operation against Pillow and torchvision, on the values that `golden/make_golden.py` wrote.
//!
//! `cargo test -p simsiam-pipeline --test golden -- --nocapture` prints the tables of `docs/augmentation.md` and
//! `docs/decoding.md`.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, stop at the first surprise")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use simsiam_pipeline::Instructions;
use simsiam_pipeline::augment::{
    Augmenter, Crop, Interpolation, Layout, Matrix, Motion, Operation, Recipe, ViewParams, Window,
};
use simsiam_pipeline::decode::{DecodeLimits, Decoder};
use simsiam_pipeline::image::{Region, RgbImage, RgbPart, Scale, Wanted};
use simsiam_pipeline::rng::ViewRng;

#[test]
fn resize_is_pillows() {
    check("resize", 0);
}

#[test]
fn bicubic_and_box_are_pillows() {
    check("bicubic", 0);
    check("box", 0);
}

#[test]
fn a_reduced_image_is_resized_as_pillows_draft() {
    check("reduced", 0);
}

#[test]
fn resize_and_center_crop_is_torchvisions() {
    check("evaluation", 0);
}

#[test]
fn brightness_is_pillows() {
    check("brightness", 0);
}

#[test]
fn contrast_is_pillows() {
    check("contrast", 0);
}

#[test]
fn saturation_is_pillows() {
    check("saturation", 0);
}

#[test]
fn hue_is_torchvisions() {
    check("hue", 0);
}

#[test]
fn gray_is_pillows() {
    check("gray", 0);
}

#[test]
fn blur_is_pillows() {
    check("blur", 0);
}

#[test]
fn flip_is_pillows() {
    check("flip", 0);
}

#[test]
fn vertical_flip_is_pillows() {
    check("vertical_flip", 0);
}

#[test]
fn solarize_is_pillows() {
    check("solarize", 0);
}

#[test]
fn posterize_is_pillows() {
    check("posterize", 0);
}

#[test]
fn invert_is_pillows() {
    check("invert", 0);
}

#[test]
fn autocontrast_is_pillows() {
    check("autocontrast", 0);
}

#[test]
fn equalize_is_pillows() {
    check("equalize", 0);
}

#[test]
fn sharpness_is_pillows() {
    check("sharpness", 0);
}

#[test]
fn rotation_is_pillows() {
    check("rotate", 0);
}

#[test]
fn affine_is_torchvisions() {
    check("affine", 0);
}

#[test]
fn whole_views_are_torchvisions() {
    check("view", 0);
}

#[test]
fn normalised_views_are_the_bytes_normalised() {
    let golden = Golden::load();
    for case in golden.cases.iter().filter(|case| case.op == "view") {
        let (recipe, params) = case.view();
        let (mean, std) = (recipe.mean, recipe.std);
        let expected = golden.image(&case.expected);
        let plane = expected.width * expected.height;
        let mut view = vec![0.0; 3 * plane];
        Augmenter::new(recipe).view(case.part(&golden), &params, Layout::Nchw, &mut view).unwrap();
        for (i, &byte) in expected.pixels.iter().enumerate() {
            let (pixel, channel) = (i / 3, i % 3);
            let value = (f32::from(byte) / 255.0 - mean[channel]) / std[channel];
            assert_eq!(view[channel * plane + pixel], value);
        }
    }
}

#[test]
fn decoded_files_are_pillows() {
    let golden = Golden::load();
    let mut decoder = Decoder::new(DecodeLimits::default());
    for case in golden.cases.iter().filter(|case| case.op == "decode") {
        let file = case.file.as_deref().unwrap();
        let bytes = fs::read(folder().join("files").join(file)).unwrap();
        let decoded = decoder.decode(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        let expected = golden.image(&case.expected);
        assert_eq!((decoded.width, decoded.height), (expected.width, expected.height), "{file}");
        let mut errors = Errors::default();
        errors.add(decoded.pixels, expected.pixels);
        println!("| {file} | {} | {:.4} |", errors.max, errors.mean());
        assert_eq!(errors.max, 0, "{file}");
    }
}

/// Samplings, scans and colours of every kind among them: see `golden/make_reduced.py`.
#[test]
fn jpegs_are_pillows_at_every_scale() {
    let odd = odd_jpegs();
    let mut decoder = Decoder::new(DecodeLimits::default());
    for line in fs::read_to_string(folder().join("reduced.txt")).unwrap().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [file, denominator, expected @ ..] = &fields[..] else { panic!("{line}") };
        let scale = scale(denominator.parse().unwrap());
        let bytes = match odd.get(*file) {
            Some(bytes) => bytes.clone(),
            None => fs::read(folder().join("files").join(file)).unwrap(),
        };
        let whole = Wanted { scale, ..Wanted::WHOLE };
        let found = decoder.decode_part(&bytes, &whole).unwrap();
        assert_eq!((found.scale, found.left, found.top), (scale, 0, 0), "{line}");
        let RgbPart { width, height, pixels, .. } = found;
        let found = [width.to_string(), height.to_string(), crc32fast::hash(pixels).to_string()];
        assert_eq!(expected, found, "{file} at 1/{denominator}");
    }
}

/// Runs every golden case of an operation, prints its row of the table and holds it to a bound in levels of 255.
fn check(op: &str, bound: u8) {
    let golden = Golden::load();
    let mut errors = Errors::default();
    let cases: Vec<&Case> = golden.cases.iter().filter(|case| case.op == op).collect();
    assert!(!cases.is_empty(), "no golden case for {op}");
    for case in &cases {
        let (recipe, params) = case.view();
        let mut view = vec![0; 3 * recipe.size * recipe.size];
        for instructions in [Instructions::Detected, Instructions::Plain] {
            let mut augmenter = Augmenter::with_instructions(recipe.clone(), instructions);
            augmenter.view(case.part(&golden), &params, Layout::Nhwc, &mut view).unwrap();
            let before = errors.max;
            errors.add(&view, golden.image(&case.expected).pixels);
            if errors.max > before {
                println!("{op} differs by {} with {:?}", errors.max, case.parameters);
            }
        }
    }
    println!("| {op} | {} | {} | {:.4} |", cases.len(), errors.max, errors.mean());
    assert!(errors.max <= bound, "{op} differs by {}, allowed are {bound}", errors.max);
}

#[derive(Default)]
struct Errors {
    max: u8,
    sum: u64,
    count: u64,
}

impl Errors {
    fn add(&mut self, found: &[u8], expected: &[u8]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let error = found.abs_diff(*expected);
            self.max = self.max.max(error);
            self.sum += u64::from(error);
        }
        self.count += found.len() as u64;
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.count as f64
    }
}

struct Golden {
    cases: Vec<Case>,
    pixels: Vec<u8>,
}

#[derive(Deserialize)]
struct Manifest {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    op: String,
    source: Option<Pixels>,
    file: Option<String>,
    expected: Pixels,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Pixels {
    width: usize,
    height: usize,
    offset: usize,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    top: usize,
    left: usize,
    width: usize,
    height: usize,
    size: usize,
    resize: usize,
    denominator: Option<usize>,
    interpolation: Interpolation,
    factor: f64,
    order: Option<[String; 4]>,
    brightness: f64,
    contrast: f64,
    saturation: f64,
    hue: f64,
    gray: bool,
    sigma: Option<f64>,
    flip: bool,
    threshold: f64,
    bits: u8,
    angle: f64,
    translate: [f64; 2],
    scale: f64,
    shear: [f64; 2],
    corner: bool,
}

impl Golden {
    fn load() -> Self {
        let manifest = fs::read_to_string(folder().join("manifest.json")).unwrap();
        let Manifest { cases } = serde_json::from_str(&manifest).unwrap();
        Self { cases, pixels: fs::read(folder().join("pixels.bin")).unwrap() }
    }

    fn image(&self, &Pixels { width, height, offset }: &Pixels) -> RgbImage<'_> {
        RgbImage { width, height, pixels: &self.pixels[offset..offset + width * height * 3] }
    }
}

fn scale(denominator: usize) -> Scale {
    let scales = [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth];
    scales.into_iter().find(|scale| scale.denominator() == denominator).unwrap()
}

impl Case {
    /// The source image, decoded at the size that the case says.
    fn part<'a>(&self, golden: &'a Golden) -> RgbPart<'a> {
        let whole = RgbPart::from(golden.image(self.source.as_ref().unwrap()));
        RgbPart { scale: scale(self.parameters.denominator.unwrap_or(1)), ..whole }
    }

    /// The recipe and the drawn parameters that are this case's operation and nothing else.
    fn view(&self) -> (Recipe, ViewParams) {
        let source = self.source.as_ref().unwrap();
        let given = &self.parameters;
        let whole = Region { top: 0, left: 0, height: source.height, width: source.width };
        let size = if given.size == 0 { source.width } else { given.size };
        let recipe = Recipe { size, ..Recipe::imagenet() };
        let interpolation = given.interpolation;
        if given.resize > 0 {
            let crop = Some(Crop::ResizeCenter { resize: given.resize, interpolation });
            let recipe = Recipe { crop, ..recipe.evaluation() };
            let params = recipe.draw(0, &mut ViewRng::new(0, 0, 0, 0), source.width, source.height);
            return (recipe, params);
        }
        let mut window = Window { interpolation, ..Window::whole(whole, size) };
        if given.width > 0 {
            let &Parameters { top, left, height, width, .. } = given;
            window.source = Region { top, left, height, width };
        }
        (recipe, ViewParams { window, operations: self.operations(size) })
    }

    fn operations(&self, size: usize) -> Vec<Operation> {
        let given = &self.parameters;
        match self.op.as_str() {
            "resize" | "reduced" | "bicubic" | "box" => vec![],
            "view" => given.operations_of_a_view(),
            "gray" => vec![Operation::Gray],
            "flip" => vec![Operation::HorizontalFlip],
            "vertical_flip" => vec![Operation::VerticalFlip],
            "blur" => vec![Operation::Blur(given.sigma.unwrap())],
            "sharpness" => vec![Operation::Sharpness(given.factor)],
            "solarize" => vec![Operation::Solarize(given.threshold)],
            "posterize" => vec![Operation::Posterize(given.bits)],
            "invert" => vec![Operation::Invert],
            "autocontrast" => vec![Operation::Autocontrast],
            "equalize" => vec![Operation::Equalize],
            "rotate" => vec![Operation::Affine(Matrix::rotation(given.angle, size))],
            "affine" => {
                let &Parameters { angle, translate, scale, shear, corner, .. } = given;
                let center = if corner { 0.0 } else { size as f64 / 2.0 };
                vec![Operation::Affine(Motion { angle, translate, scale, shear }.matrix([center; 2]))]
            }
            change => vec![color_change(change, given.factor)],
        }
    }
}

fn color_change(name: &str, factor: f64) -> Operation {
    match name {
        "brightness" => Operation::Brightness(factor),
        "contrast" => Operation::Contrast(factor),
        "saturation" => Operation::Saturation(factor),
        "hue" => Operation::Hue(factor),
        other => panic!("an operation {other}"),
    }
}

impl Parameters {
    /// Jitter, gray, blur and flip.
    fn operations_of_a_view(&self) -> Vec<Operation> {
        let factor = |name: &str| match name {
            "brightness" => self.brightness,
            "contrast" => self.contrast,
            "saturation" => self.saturation,
            _ => self.hue,
        };
        let order = self.order.as_ref().unwrap();
        let mut operations: Vec<_> = order.iter().map(|name| color_change(name, factor(name))).collect();
        operations.extend(self.gray.then_some(Operation::Gray));
        operations.extend(self.sigma.map(Operation::Blur));
        operations.extend(self.flip.then_some(Operation::HorizontalFlip));
        operations
    }
}

/// The files of `golden/odd-jpegs.tar` by their names.
fn odd_jpegs() -> HashMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(folder().join("odd-jpegs.tar")).unwrap());
    let read = |mut entry: tar::Entry<'_, File>| {
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    };
    archive.entries().unwrap().map(|entry| read(entry.unwrap())).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}
