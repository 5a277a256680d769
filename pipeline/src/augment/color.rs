//! Brightness, contrast, saturation and gray, byte for byte as Pillow's `ImageEnhance` and `convert("L")`.
//!
//! Each enhancement blends a degenerate image (black, mean gray, gray) with the original: `Image.blend`, Blend.c.

/// `ImageEnhance.Brightness(image).enhance(factor)`: a blend with black.
pub(super) fn brightness(pixels: &mut [u8], factor: f64) {
    blend_with_constant(pixels, 0, factor);
}

/// `ImageEnhance.Contrast(image).enhance(factor)`: a blend with the rounded mean of the gray image.
pub(super) fn contrast(pixels: &mut [u8], factor: f64) {
    let sum: u64 = pixels.as_chunks::<3>().0.iter().map(|&pixel| u64::from(luma(pixel))).sum();
    let mean = sum as f64 / (pixels.len() / 3) as f64;
    blend_with_constant(pixels, (mean + 0.5) as u8, factor);
}

/// `ImageEnhance.Color(image).enhance(factor)`: a blend with the gray image.
pub(super) fn saturation(pixels: &mut [u8], factor: f64) {
    // First the grays of a few pixels, then a blend of flat bytes, which vectorises.
    const PIXELS: usize = 64;
    let mut grays = [0; PIXELS * 3];
    for pixels in pixels.chunks_mut(PIXELS * 3) {
        for (gray, pixel) in grays.as_chunks_mut::<3>().0.iter_mut().zip(pixels.as_chunks::<3>().0) {
            *gray = [luma(*pixel); 3];
        }
        for (value, &gray) in pixels.iter_mut().zip(&grays) {
            *value = blend(gray, *value, factor as f32);
        }
    }
}

/// `convert("L").convert("RGB")`.
pub(super) fn gray(pixels: &mut [u8]) {
    for pixel in pixels.as_chunks_mut::<3>().0 {
        *pixel = [luma(*pixel); 3];
    }
}

/// ITU-R 601 luma in Pillow's 16-bit fixed point (Convert.c, `L24`).
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

fn blend_with_constant(pixels: &mut [u8], degenerate: u8, factor: f64) {
    let table: [u8; 256] = std::array::from_fn(|value| blend(degenerate, value as u8, factor as f32));
    for value in pixels {
        *value = table[usize::from(*value)];
    }
}

/// One byte of `Image.blend`: in single precision, clipped, truncated.
fn blend(degenerate: u8, value: u8, factor: f32) -> u8 {
    let distance = i32::from(value) - i32::from(degenerate);
    (f32::from(degenerate) + factor * distance as f32).clamp(0.0, 255.0) as i32 as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factor_one_changes_nothing() {
        let original: Vec<u8> = (0..=254).collect();
        for op in [brightness, contrast, saturation] {
            let mut pixels = original.clone();
            op(&mut pixels, 1.0);
            assert_eq!(pixels, original);
        }
    }

    #[test]
    fn factor_zero_gives_the_degenerate_image() {
        let original = [10, 200, 90, 250, 3, 77];
        let mut black = original;
        brightness(&mut black, 0.0);
        assert_eq!(black, [0; 6]);

        let mut gray_blend = original;
        let mut gray_image = original;
        saturation(&mut gray_blend, 0.0);
        gray(&mut gray_image);
        assert_eq!(gray_blend, gray_image);

        let mut mean = original;
        contrast(&mut mean, 0.0);
        let lumas = [luma([10, 200, 90]), luma([250, 3, 77])].map(f64::from);
        assert_eq!(mean, [((lumas[0] + lumas[1]) / 2.0 + 0.5) as u8; 6], "half a level is rounded up");
    }

    #[test]
    fn bright_values_saturate() {
        let mut pixels = [100, 200, 255];
        brightness(&mut pixels, 1.4);
        assert_eq!(pixels, [140, 255, 255]);
    }
}
