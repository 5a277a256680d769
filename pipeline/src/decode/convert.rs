//! Converts every pixel layout to RGB, by the rules of Pillow's `convert("RGB")` (Convert.c, Unpack.c).

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

/// 16-bit gray of which one value is transparent: as without.
pub(super) fn gray16_transparent(gray: &[u8], rgb: &mut [u8]) {
    each_pixel(gray, rgb, |[a, b, _, _]| [u16::from_ne_bytes([a, b]).min(255) as u8; 3]);
}

/// Gray of 1, 2 or 4 bits to RGB; each row begins with a byte of its own.
pub(super) fn gray_bits(gray: &[u8], bits: usize, width: usize, rgb: &mut [u8]) {
    let step = 255 / ((1 << bits) - 1);
    let rows = gray.chunks((width * bits).div_ceil(8));
    for (row, out) in rows.zip(rgb.chunks_mut(3 * width)) {
        for (x, pixel) in out.as_chunks_mut().0.iter_mut().enumerate() {
            let shade = row[x * bits / 8] >> (8 - bits - x * bits % 8) & ((1 << bits) - 1) as u8;
            *pixel = [shade * step as u8; 3];
        }
    }
}

/// RGB that is multiplied by its alpha to RGB that is not, which is black where nothing is left of it.
pub(super) fn premultiplied(rgba: &[u8], rgb: &mut [u8]) {
    each_pixel(rgba, rgb, |[r, g, b, alpha]| [r, g, b].map(|channel| without_alpha(channel, alpha)));
}

/// As [`premultiplied`], of the high bytes.
pub(super) fn premultiplied16(rgba: &[u8], rgb: &mut [u8]) {
    each_pixel(rgba, rgb, |[r0, r1, g0, g1, b0, b1, a0, a1]| {
        let alpha = high_byte(a0, a1);
        [high_byte(r0, r1), high_byte(g0, g1), high_byte(b0, b1)].map(|channel| without_alpha(channel, alpha))
    });
}

/// CMYK to RGB where the file holds the inks.
pub(super) fn cmyk(cmyk: &[u8], rgb: &mut [u8]) {
    each_pixel(cmyk, rgb, |[c, m, y, k]| [c, m, y].map(|ink| without_ink(ink, !k)));
}

/// As [`cmyk`], of the high bytes.
pub(super) fn cmyk16(cmyk: &[u8], rgb: &mut [u8]) {
    each_pixel(cmyk, rgb, |[c0, c1, m0, m1, y0, y1, k0, k1]| {
        let white = !high_byte(k0, k1);
        [high_byte(c0, c1), high_byte(m0, m1), high_byte(y0, y1)].map(|ink| without_ink(ink, white))
    });
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

/// What is left of `white` after an ink: `white - ink * white / 255`, rounded as Pillow's `MULDIV255`.
pub(super) fn without_ink(ink: u8, white: u8) -> u8 {
    let product = u32::from(ink) * u32::from(white) + 128;
    white - (((product >> 8) + product) >> 8) as u8
}

/// A channel that was multiplied by alpha, as Pillow's `unpackRGBa` divides.
fn without_alpha(channel: u8, alpha: u8) -> u8 {
    (u32::from(channel) * 255).checked_div(u32::from(alpha)).map_or(0, |channel| channel.min(255) as u8)
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
