//! A pipeline at work allocates nothing for a sample: counted by the allocator itself.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, stop at the first surprise")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use simsiam_pipeline::augment::{Chance, Step, Views};
use simsiam_pipeline::shards::{OpenOptions, ShardWriter};
use simsiam_pipeline::{Batches, OnBadSample, PipelineConfig, Quarantine, Recipe, ShardSet, start};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of a batch's plan, and of a message that has to wait for room in a queue and for a worker.
const A_BATCH: f64 = 10.0;
const A_MESSAGE: f64 = 3.0;
const WORKERS: usize = 2;

#[test]
fn samples_allocate_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-000.tar");
    let mut writer = ShardWriter::create(&path).unwrap();
    for number in 0..256u32 {
        let jpeg = photograph(number);
        writer.append(&format!("{number:06}"), "jpg", &jpeg, Some(number % 10)).unwrap();
    }
    writer.finish().unwrap();
    let shards = ShardSet::open(&[path.to_str().unwrap()], &OpenOptions::default()).unwrap();
    let shards = Arc::new(shards);

    let alike = Recipe { size: 32, ..Recipe::imagenet() };
    // As benches/peers/randaugment.toml has it.
    let crop = Step::Crop(alike.crop.unwrap());
    let flip = Step::HorizontalFlip(Chance { p: 0.5 });
    let steps = vec![crop, flip, Step::RandAugment { operations: 2, magnitude: 9 }];
    let views = vec![Views { count: 2, size: None, steps }];
    let rand_augment = Recipe { views, crop: None, ..alike.evaluation() };
    for (batch_size, recipe) in
        [(64, alike.clone()), (256, alike.clone()), (64, rand_augment), (64, alike.swav(16))]
    {
        let config = PipelineConfig { workers: WORKERS, ..PipelineConfig::training(recipe, batch_size, 0) };
        let quarantine = Arc::new(Quarantine::new(OnBadSample::Fail, shards.len()));
        let mut batches = start(shards.clone(), quarantine, &config).unwrap();
        // Until every worker has met the largest image, and every queue its first wait.
        run(&mut batches, 4096 / batch_size);
        let before = ALLOCATIONS.load(Relaxed);
        let measured = 8192 / batch_size;
        run(&mut batches, measured);
        let each = (ALLOCATIONS.load(Relaxed) - before) as f64 / measured as f64;
        println!("batches of {batch_size}: {each:.1} allocations each");
        // Of images as small as these a message has 16, or fewer so that each worker gets four messages a batch.
        let messages = batch_size.div_ceil(16).max(4 * WORKERS);
        let allowed = A_BATCH + A_MESSAGE * messages as f64;
        assert!(
            each <= allowed,
            "{each} allocations for a batch of {batch_size}, {allowed} are its messages'"
        );
    }
}

fn run(batches: &mut Batches, count: usize) {
    for batch in batches.take(count) {
        assert!(batch.unwrap().len() > 0);
    }
}

/// Waves in colours, of a size and a quality that depend on `number`; every third has another Huffman table.
fn photograph(number: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(40 + number % 17, 40 + number % 13, |x, y| {
        let wave = |over: u32| ((x * over + y * (number % 7 + 1)) % 256) as u8;
        image::Rgb([wave(3), wave(5), wave(11)])
    });
    let mut file = Vec::new();
    let quality = if number.is_multiple_of(2) { 75 } else { 90 };
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality)).unwrap();
    if number.is_multiple_of(3) { without_last_code(file) } else { file }
}

/// The same image with a luma AC table that lacks its last code, for fifteen zeros and a coefficient of ten bits.
fn without_last_code(mut jpeg: Vec<u8>) -> Vec<u8> {
    let table = jpeg.windows(5).position(|at| matches!(at, [0xff, 0xc4, 0, 181, 0x10])).unwrap();
    let (length, codes_of_16_bits, symbols) = (table + 3, table + 20, table + 21..table + 183);
    jpeg[length] -= 1;
    jpeg[codes_of_16_bits] -= 1;
    assert_eq!(jpeg.remove(symbols.end - 1), 0xfa);
    jpeg
}
