//! The conversions in scalar code, the reference for tests of the SIMD kernel.

use crate::decode::convert::{rgb_from_ycc, without_ink};

/// YCbCr to RGB. All rows have the same number of pixels.
pub(in super::super) fn ycc_to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    for (((out, &y), &cb), &cr) in rgb.as_chunks_mut().0.iter_mut().zip(y).zip(cb).zip(cr) {
        *out = rgb_from_ycc(y, cb, cr);
    }
}

/// Rows of 255 minus ink, as Adobe writes them and Pillow always reads them, to RGB.
pub(in super::super) fn cmyk_to_rgb([c, m, y, k]: [&[u8]; 4], rgb: &mut [u8]) {
    for (i, out) in rgb.as_chunks_mut().0.iter_mut().enumerate() {
        *out = [c[i], m[i], y[i]].map(|channel| without_ink(!channel, k[i]));
    }
}

/// Rows of the YCbCr of 255 minus 255 minus ink, and of 255 minus black, to RGB (jdcolor.c, `ycck_cmyk_convert`).
pub(in super::super) fn ycck_to_rgb([y, cb, cr, k]: [&[u8]; 4], rgb: &mut [u8]) {
    for (i, out) in rgb.as_chunks_mut().0.iter_mut().enumerate() {
        *out = rgb_from_ycc(y[i], cb[i], cr[i]).map(|ink| without_ink(ink, k[i]));
    }
}
