// The fuzzer's seeds, and mutations of them that are the same on every machine: what ordinary tests can do of a fuzzer's
// work. Included by the crates' tests.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Runs `target` on every file in `folder`, on every file in the archive of what the fuzzer found, and on `count`
/// mutations of them. Both are relative to the crate.
pub(super) fn replay(folder: &str, found: &str, count: u64, target: impl Fn(&[u8])) {
    let in_crate = |path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut paths: Vec<_> =
        fs::read_dir(in_crate(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!seeds.is_empty(), "{folder} holds no seeds");
    let mut archive = tar::Archive::new(File::open(in_crate(found)).unwrap());
    seeds.extend(archive.entries().unwrap().map(|entry| {
        let mut seed = Vec::new();
        entry.unwrap().read_to_end(&mut seed).unwrap();
        seed
    }));
    seeds.iter().for_each(|seed| target(seed));
    for number in 0..count {
        let mut random = SplitMix(number);
        let seed = &seeds[random.below(seeds.len())];
        target(&mutate(seed, &mut random));
    }
}

/// One to eight changes: bits, bytes of a kind that readers trip over, numbers, cuts, and runs put elsewhere.
fn mutate(seed: &[u8], random: &mut SplitMix) -> Vec<u8> {
    const BYTES: [u8; 10] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b' ', b'\n', b'"'];
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(8) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(64)).min(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = BYTES[random.below(BYTES.len())],
            2 => bytes[at..end].fill(BYTES[random.below(5)]),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let run = bytes[at..end].to_vec();
                let place = random.below(bytes.len());
                bytes.splice(place..place, run);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// The generator of Steele et al. 2014.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % end as u64) as usize
    }
}
