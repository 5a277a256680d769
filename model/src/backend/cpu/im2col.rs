//! Windows of an image as columns of a matrix, and back.

use std::ops::Range;

use crate::backend::Conv2dGeometry;

/// Copies the windows of the output rows `rows` of one image into columns.
///
/// `columns` is `window_len x stride` row-major; the windows go to its columns `at..`. A window's element `(c, ky, kx)`
/// is row `(c * kernel + ky) * kernel + kx`.
#[inline(always)]
pub(super) fn im2col(
    g: &Conv2dGeometry,
    image: &[f32],
    rows: Range<usize>,
    columns: &mut [f32],
    stride: usize,
    at: usize,
) {
    for_each_window_row(
        g,
        rows,
        #[inline(always)]
        |row, column, source, inside| {
            let to = &mut columns[row * stride + at + column..][..g.out_size];
            let Some(source) = source else { return to.fill(0.0) };
            to[..inside.start].fill(0.0);
            to[inside.end..].fill(0.0);
            let to = &mut to[inside];
            if g.stride == 1 {
                to.copy_from_slice(&image[source..][..to.len()]);
            } else {
                to.iter_mut()
                    .zip(image[source..].iter().step_by(g.stride))
                    .for_each(|(to, from)| *to = *from);
            }
        },
    );
}

/// Adds columns back to the pixels that they were copied from: the transpose of [`im2col`].
#[inline(always)]
pub(super) fn col2im(
    g: &Conv2dGeometry,
    columns: &[f32],
    stride: usize,
    at: usize,
    rows: Range<usize>,
    image: &mut [f32],
) {
    for_each_window_row(
        g,
        rows,
        #[inline(always)]
        |row, column, target, inside| {
            let Some(target) = target else { return };
            let from = &columns[row * stride + at + column..][..g.out_size][inside];
            let to = &mut image[target..];
            if g.stride == 1 {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
            } else {
                to.iter_mut().step_by(g.stride).zip(from).for_each(|(to, from)| *to += *from);
            }
        },
    );
}

/// Calls `f(matrix row, first column, pixel, inside)` for each filter tap and each output row.
///
/// Of the output row's windows, those in `inside` have this tap on a pixel, the first of them on `pixel`; the others
/// have it on the padding. `pixel` is `None` when the whole row is.
#[inline(always)]
fn for_each_window_row(
    g: &Conv2dGeometry,
    rows: Range<usize>,
    mut f: impl FnMut(usize, usize, Option<usize>, Range<usize>),
) {
    for channel in 0..g.in_channels {
        for ky in 0..g.kernel {
            for kx in 0..g.kernel {
                let row = (channel * g.kernel + ky) * g.kernel + kx;
                // Windows `x` with 0 <= x * stride + kx - pad < in_size.
                let first = g.pad.saturating_sub(kx).div_ceil(g.stride).min(g.out_size);
                let end = (g.in_size + g.pad - kx).div_ceil(g.stride).min(g.out_size);
                let inside = first..end.max(first);
                for (i, y) in rows.clone().enumerate() {
                    let y = (y * g.stride + ky)
                        .checked_sub(g.pad)
                        .filter(|y| *y < g.in_size && !inside.is_empty());
                    let pixel = y.map(|y| {
                        (channel * g.in_size + y) * g.in_size + inside.start * g.stride + kx - g.pad
                    });
                    f(row, i * g.out_size, pixel, inside.clone());
                }
            }
        }
    }
}
