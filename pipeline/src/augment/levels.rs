//! Operations that map bytes to bytes, channel by channel, as Pillow's `ImageOps`.

use super::cpu::{Cpu, for_each_cpu};
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
pub(super) fn autocontrast(view: &mut Planes) {
    for plane in view.split_mut() {
        let counts = histogram(plane);
        let darkest = counts.iter().position(|count| *count > 0).unwrap_or(0);
        let brightest = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        if brightest > darkest {
            let scale = 255.0 / (brightest - darkest) as f64;
            let offset = -(darkest as f64) * scale;
            let table = std::array::from_fn(|value| (value as f64 * scale + offset).clamp(0.0, 255.0) as u8);
            map(plane, &table);
        }
    }
}

/// `ImageOps.equalize()`.
pub(super) fn equalize(view: &mut Planes) {
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
            map(plane, &table);
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

fn map(plane: &mut [u8], table: &[u8; 256]) {
    for value in plane {
        *value = table[usize::from(*value)];
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
        let mut view = Planes::of_interleaved(&[7; 3 * 600]);
        autocontrast(&mut view);
        equalize(&mut view);
        assert_eq!(view.bytes(), [7; 3 * 600]);
    }
}
