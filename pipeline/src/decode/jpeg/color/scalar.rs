//! The conversions in plain arithmetic: what the vector kernel is tested against.

use crate::decode::convert::rgb_from_ycc;

/// YCbCr to RGB. All rows have the same number of pixels.
pub(in super::super) fn ycc_to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    for (((out, &y), &cb), &cr) in rgb.as_chunks_mut().0.iter_mut().zip(y).zip(cb).zip(cr) {
        *out = rgb_from_ycc(y, cb, cr);
    }
}

/// Three rows to one of RGB.
pub(in super::super) fn interleave(r: &[u8], g: &[u8], b: &[u8], rgb: &mut [u8]) {
    for (((out, &r), &g), &b) in rgb.as_chunks_mut().0.iter_mut().zip(r).zip(g).zip(b) {
        *out = [r, g, b];
    }
}
