//! Operations that map bytes to bytes, channel by channel, as Pillow's `ImageOps`.

use super::cpu::{Cpu, for_each_cpu};
use super::look_up::look_up;
use super::planes::Planes;

/// `ImageOps.invert`.
pub(super) fn invert(cpu: Cpu, view: &mut Planes) {
    invert_from(cpu, view.bytes_mut(), 0);
}

/// `ImageOps.solarize(threshold)`.
pub(super) fn solarize(cpu: Cpu, view: &mut Planes, threshold: f64) {
    let threshold = threshold.ceil().max(0.0);
    if threshold <= 255.0 {
        invert_from(cpu, view.bytes_mut(), threshold as u8);
    }
}

/// `ImageOps.posterize(bits)`.
///
/// # Panics
/// If a byte has fewer bits.
pub(super) fn posterize(cpu: Cpu, view: &mut Planes, bits: u8) {
    assert!(bits <= 8, "a byte has eight bits");
    keep(cpu, view.bytes_mut(), !((1u16 << (8 - bits)) - 1) as u8);
}

/// `ImageOps.autocontrast()`.
pub(super) fn autocontrast(cpu: Cpu, view: &mut Planes) {
    for plane in view.split_mut() {
        let (mut darkest, mut brightest) = (255, 0);
        widen(cpu, plane, &mut darkest, &mut brightest);
        if brightest > darkest && (darkest, brightest) != (0, 255) {
            let scale = 255.0 / f64::from(brightest - darkest);
            let offset = -f64::from(darkest) * scale;
            let table = std::array::from_fn(|value| (value as f64 * scale + offset).clamp(0.0, 255.0) as u8);
            look_up(cpu, &table, plane);
        }
    }
}

/// `ImageOps.equalize()`.
pub(super) fn equalize(cpu: Cpu, view: &mut Planes) {
    for plane in view.split_mut() {
        let counts = histogram(plane);
        let last = counts.iter().rev().copied().find(|count| *count > 0).unwrap_or(0);
        let step = (plane.len() as u32 - last) / 255;
        if step > 0 {
            let mut below = step / 2;
            let table = counts.map(|count| {
                let level = (below / step).min(255) as u8;
                below += count;
                level
            });
            look_up(cpu, &table, plane);
        }
    }
}

/// How often each byte occurs.
fn histogram(plane: &[u8]) -> [u32; 256] {
    // Equal neighbours would wait for each other's counts.
    let mut counts = [[0u32; 256]; 4];
    let (fours, rest) = plane.as_chunks::<4>();
    for four in fours {
        for (counts, value) in counts.iter_mut().zip(four) {
            counts[usize::from(*value)] += 1;
        }
    }
    for value in rest {
        counts[0][usize::from(*value)] += 1;
    }
    std::array::from_fn(|value| counts.iter().map(|counts| counts[value]).sum())
}

for_each_cpu! {
    /// Widens a range to that of the bytes.
    fn widen(bytes: &[u8], lowest: &mut u8, highest: &mut u8) {
        for value in bytes {
            (*lowest, *highest) = ((*lowest).min(*value), (*highest).max(*value));
        }
    }
}

for_each_cpu! {
    fn invert_from(bytes: &mut [u8], threshold: u8) {
        for value in bytes {
            *value = if *value < threshold { *value } else { 255 - *value };
        }
    }
}

for_each_cpu! {
    fn keep(bytes: &mut [u8], mask: u8) {
        for value in bytes {
            *value &= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Planes {
        Planes::of_interleaved(&(0..=255).flat_map(|value| [value; 3]).collect::<Vec<u8>>())
    }

    fn changed(change: impl Fn(Cpu, &mut Planes)) -> Vec<u8> {
        let results = Cpu::all().into_iter().map(|cpu| {
            let mut view = ramp();
            change(cpu, &mut view);
            view.split()[0].to_vec()
        });
        results.reduce(|a, b| if a == b { a } else { panic!("processors differ") }).expect("a processor")
    }

    #[test]
    fn thresholds_bits_and_inverses_are_theirs_at_every_value() {
        for threshold in [0.0, 0.5, 128.0, 254.3, 255.0, 255.5, 300.0] {
            let found = changed(|cpu, view| solarize(cpu, view, threshold));
            let expected = (0..=255u8).map(|v| if f64::from(v) < threshold { v } else { 255 - v });
            assert_eq!(found, expected.collect::<Vec<_>>(), "{threshold}");
        }
        for bits in 1..=8 {
            let expected =
                (0..=255u8).map(|v| u8::try_from(u16::from(v) >> (8 - bits) << (8 - bits)).unwrap());
            assert_eq!(changed(|cpu, view| posterize(cpu, view, bits)), expected.collect::<Vec<_>>());
        }
        assert_eq!(changed(invert), (0..=255).rev().collect::<Vec<_>>());
    }

    #[test]
    fn one_colour_stays() {
        for cpu in Cpu::all() {
            let mut view = Planes::of_interleaved(&[7; 3 * 600]);
            autocontrast(cpu, &mut view);
            equalize(cpu, &mut view);
            assert_eq!(view.bytes(), [7; 3 * 600]);
        }
    }

    #[test]
    fn contrast_is_stretched_from_the_darkest_to_the_brightest() {
        for (darkest, brightest) in [(0, 255), (0, 254), (1, 255), (7, 8), (50, 200)] {
            let plane: Vec<u8> = (darkest..=brightest).rev().collect();
            let scale = 255.0 / f64::from(brightest - darkest);
            let expected =
                plane.iter().map(|&v| (f64::from(v) * scale - f64::from(darkest) * scale).max(0.0) as u8);
            let expected: Vec<u8> = expected.collect();
            for cpu in Cpu::all() {
                let mut view = Planes::of_interleaved(&plane.repeat(3));
                view.bytes_mut().copy_from_slice(&plane.repeat(3));
                autocontrast(cpu, &mut view);
                assert_eq!(view.bytes(), expected.repeat(3), "{cpu:?}");
            }
        }
    }
}
