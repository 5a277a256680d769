//! Every pixel layout to RGB, with the rules of Pillow's `convert("RGB")` (Convert.c, Unpack.c).

/// Gray to RGB.
pub(super) fn gray(gray: &[u8], rgb: &mut [u8]) {
    each_pixel(gray, rgb, |[value]| [value; 3]);
}

/// Gray and alpha to RGB: alpha is dropped.
pub(super) fn gray_alpha(gray: &[u8], rgb: &mut [u8]) {
    each_pixel(gray, rgb, |[value, _]| [value; 3]);
}

/// RGB and alpha to RGB: alpha is dropped.
pub(super) fn rgba(rgba: &[u8], rgb: &mut [u8]) {
    each_pixel(rgba, rgb, |[r, g, b, _]| [r, g, b]);
}

/// 16-bit gray to RGB. Pillow's `I;16` holds numbers, not shades: it clips at 255 and does not scale.
pub(super) fn gray16(gray: &[u8], rgb: &mut [u8]) {
    each_pixel(gray, rgb, |value| [u16::from_ne_bytes(value).min(255) as u8; 3]);
}

/// 16-bit gray and alpha to RGB: the high byte.
pub(super) fn gray_alpha16(gray: &[u8], rgb: &mut [u8]) {
    each_pixel(gray, rgb, |[a, b, _, _]| [high_byte(a, b); 3]);
}

/// 16-bit RGB to RGB: the high bytes.
pub(super) fn rgb16(deep: &[u8], rgb: &mut [u8]) {
    each_pixel(deep, rgb, |[r0, r1, g0, g1, b0, b1]| {
        [high_byte(r0, r1), high_byte(g0, g1), high_byte(b0, b1)]
    });
}

/// 16-bit RGB and alpha to RGB: the high bytes.
pub(super) fn rgba16(deep: &[u8], rgb: &mut [u8]) {
    each_pixel(deep, rgb, |[r0, r1, g0, g1, b0, b1, _, _]| {
        [high_byte(r0, r1), high_byte(g0, g1), high_byte(b0, b1)]
    });
}

/// libjpeg's conversion in 16-bit fixed point (jdcolor.c, `build_ycc_rgb_table`).
pub(super) fn rgb_from_ycc(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let r = y + ((91_881 * cr + 32_768) >> 16);
    let g = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16);
    let b = y + ((116_130 * cb + 32_768) >> 16);
    [r, g, b].map(|value| value.clamp(0, 255) as u8)
}

fn high_byte(a: u8, b: u8) -> u8 {
    (u16::from_ne_bytes([a, b]) >> 8) as u8
}

fn each_pixel<const N: usize>(from: &[u8], rgb: &mut [u8], convert: impl Fn([u8; N]) -> [u8; 3]) {
    for (pixel, out) in from.as_chunks::<N>().0.iter().zip(rgb.as_chunks_mut().0) {
        *out = convert(*pixel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bit_gray_clips_and_color_shifts() {
        let mut rgb = [0; 3];
        gray16(&300u16.to_ne_bytes(), &mut rgb);
        assert_eq!(rgb, [255; 3]);
        let deep: Vec<u8> =
            [0x12ffu16, 0x3400, 0x56aa].iter().flat_map(|value| value.to_ne_bytes()).collect();
        rgb16(&deep, &mut rgb);
        assert_eq!(rgb, [0x12, 0x34, 0x56]);
    }
}
