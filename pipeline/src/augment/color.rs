//! Brightness, contrast, saturation and gray, byte for byte as Pillow's `ImageEnhance` and `convert("L")`.
//!
//! Each enhancement blends a degenerate image (black, mean gray, gray) with the original: `Image.blend`, Blend.c.

use super::cpu::{Cpu, for_each_cpu};
use super::look_up::look_up;
use super::planes::Planes;

/// `ImageEnhance.Brightness(image).enhance(factor)`: a blend with black.
pub(super) fn brightness(cpu: Cpu, view: &mut Planes, factor: f64) {
    blend_with_constant(cpu, view.bytes_mut(), 0, factor as f32);
}

/// `ImageEnhance.Contrast(image).enhance(factor)`: a blend with the rounded mean of the gray image.
pub(super) fn contrast(cpu: Cpu, view: &mut Planes, factor: f64) {
    let mut sum = 0;
    let [r, g, b] = view.split_mut();
    sum_lumas(cpu, r, g, b, &mut sum);
    let mean = sum as f64 / r.len() as f64;
    blend_with_constant(cpu, view.bytes_mut(), (mean + 0.5) as u8, factor as f32);
}

/// `ImageEnhance.Color(image).enhance(factor)`: a blend with the gray image.
pub(super) fn saturation(cpu: Cpu, view: &mut Planes, factor: f64) {
    let [r, g, b] = view.split_mut();
    blend_with_gray(cpu, r, g, b, factor as f32);
}

/// `convert("L").convert("RGB")`.
pub(super) fn gray(cpu: Cpu, view: &mut Planes) {
    let [r, g, b] = view.split_mut();
    all_to_luma(cpu, r, g, b);
}

/// ITU-R 601 luma in Pillow's 16-bit fixed point (Convert.c, `L24`).
#[inline(always)]
fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// One byte of `Image.blend`: in single precision, clipped, truncated.
#[inline(always)]
pub(super) fn blend(degenerate: u8, value: u8, factor: f32) -> u8 {
    let distance = i32::from(value) - i32::from(degenerate);
    truncated(f32::from(degenerate) + factor * distance as f32)
}

/// Clips to 0 to 255, not a number to 0, and truncates.
#[inline(always)]
pub(super) fn truncated(level: f32) -> u8 {
    let level = if level > 0.0 { level } else { 0.0 };
    let level = if level < 255.0 { level } else { 255.0 };
    // SAFETY: the level is a number from 0 to 255.
    unsafe { level.to_int_unchecked::<i32>() as u8 }
}

/// Such a blend maps bytes to bytes: where the processor can look up many at once, a table is at least as fast.
fn blend_with_constant(cpu: Cpu, bytes: &mut [u8], degenerate: u8, factor: f32) {
    if cpu == Cpu::Plain {
        return blend_each(cpu, bytes, degenerate, factor);
    }
    let mut table = std::array::from_fn(|value| value as u8);
    blend_each(cpu, &mut table, degenerate, factor);
    look_up(cpu, &table, bytes);
}

for_each_cpu! {
    fn blend_each(bytes: &mut [u8], degenerate: u8, factor: f32) {
        for value in bytes {
            *value = blend(degenerate, *value, factor);
        }
    }
}

for_each_cpu! {
    fn sum_lumas(r: &[u8], g: &[u8], b: &[u8], sum: &mut u64) {
        // Blocks whose sum fits 32 bits.
        const BLOCK: usize = 1 << 16;
        for ((r, g), b) in r.chunks(BLOCK).zip(g.chunks(BLOCK)).zip(b.chunks(BLOCK)) {
            let lumas = r.iter().zip(g).zip(b).map(|((&r, &g), &b)| u32::from(luma(r, g, b)));
            *sum += u64::from(lumas.sum::<u32>());
        }
    }
}

for_each_cpu! {
    fn blend_with_gray(r: &mut [u8], g: &mut [u8], b: &mut [u8], factor: f32) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let gray = luma(*r, *g, *b);
            *r = blend(gray, *r, factor);
            *g = blend(gray, *g, factor);
            *b = blend(gray, *b, factor);
        }
    }
}

for_each_cpu! {
    fn all_to_luma(r: &mut [u8], g: &mut [u8], b: &mut [u8]) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let gray = luma(*r, *g, *b);
            (*r, *g, *b) = (gray, gray, gray);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_every_cpu(pixels: &[u8], op: impl Fn(Cpu, &mut Planes)) -> Vec<u8> {
        let results = Cpu::all().into_iter().map(|cpu| {
            let mut view = Planes::of_interleaved(pixels);
            op(cpu, &mut view);
            view.interleaved()
        });
        results
            .reduce(|a, b| {
                assert_eq!(a, b);
                a
            })
            .unwrap()
    }

    #[test]
    fn factor_one_changes_nothing() {
        let original: Vec<u8> = (0..=254).collect();
        for op in [brightness, contrast, saturation] {
            assert_eq!(on_every_cpu(&original, |cpu, view| op(cpu, view, 1.0)), original);
        }
    }

    #[test]
    fn factor_zero_gives_the_degenerate_image() {
        let original = [10, 200, 90, 250, 3, 77];
        assert_eq!(on_every_cpu(&original, |cpu, view| brightness(cpu, view, 0.0)), [0; 6]);

        let gray_blend = on_every_cpu(&original, |cpu, view| saturation(cpu, view, 0.0));
        assert_eq!(gray_blend, on_every_cpu(&original, gray));

        let mean = on_every_cpu(&original, |cpu, view| contrast(cpu, view, 0.0));
        let lumas = [luma(10, 200, 90), luma(250, 3, 77)].map(f64::from);
        assert_eq!(mean, [((lumas[0] + lumas[1]) / 2.0 + 0.5) as u8; 6], "half a level is rounded up");
    }

    #[test]
    fn bright_values_saturate() {
        assert_eq!(on_every_cpu(&[100, 200, 255], |cpu, view| brightness(cpu, view, 1.4)), [140, 255, 255]);
    }

    #[test]
    fn every_length_gives_the_same_on_every_cpu() {
        let bytes: Vec<u8> = (0..192u32).map(|i| ((i * i * 31) >> 3) as u8).collect();
        for pixels in 1..=64 {
            for op in [brightness, contrast, saturation] {
                for factor in [0.0, 0.61, 1.37, 10.0] {
                    on_every_cpu(&bytes[..pixels * 3], |cpu, view| op(cpu, view, factor));
                }
            }
            on_every_cpu(&bytes[..pixels * 3], gray);
        }
    }

    #[test]
    fn every_blend_is_blend_cs() {
        let bytes: Vec<u8> = (0..=255).collect();
        for factor in [0.6f32, 0.999, 1.0, 1.001, 1.2345, 1.4] {
            for degenerate in 0..=255u8 {
                for cpu in Cpu::all() {
                    let mut blended = bytes.clone();
                    blend_with_constant(cpu, &mut blended, degenerate, factor);
                    for (value, found) in blended.into_iter().enumerate() {
                        let exact = f32::from(degenerate) + factor * (value as f32 - f32::from(degenerate));
                        assert_eq!(found, exact.clamp(0.0, 255.0) as u8);
                    }
                }
            }
        }
    }
}
