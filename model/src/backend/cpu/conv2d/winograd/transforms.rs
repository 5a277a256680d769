//! The transforms of F(4x4, 3x3) along one side, and along both sides of many channels.
//!
//! Toom and Cook's scheme evaluates at the points 0, +-3/4, +-3/2 and infinity. They halve the error of the usual 0,
//! +-1, +-2 (measured on sums over 64 and 256 channels), because the powers of points around 1 stay around 1.

use std::mem::MaybeUninit;

/// Channels that are transformed together: neighbours in memory.
pub(super) const LANES: usize = 16;

const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// One over the product of the differences from the other points.
const AT_ZERO: f32 = 1.0 / (A2 * B2);
const AT_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const AT_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));

/// `B^T d`: six pixels of a patch.
#[inline(always)]
pub(super) fn patch(d: [f32; 6]) -> [f32; 6] {
    let (even_a, odd_a) = (d[4] - B2 * d[2], A * (d[3] - B2 * d[1]));
    let (even_b, odd_b) = (d[4] - A2 * d[2], B * (d[3] - A2 * d[1]));
    [
        A2 * B2 * d[0] - (A2 + B2) * d[2] + d[4],
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        A2 * B2 * d[1] - (A2 + B2) * d[3] + d[5],
    ]
}

/// `G g`: three values of a filter.
#[inline(always)]
pub(super) fn filter(g: [f32; 3]) -> [f32; 6] {
    let (even_a, odd_a) = (AT_A * (g[0] + A2 * g[2]), AT_A * A * g[1]);
    let (even_b, odd_b) = (AT_B * (g[0] + B2 * g[2]), AT_B * B * g[1]);
    [AT_ZERO * g[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g[2]]
}

/// `A^T m`: to four outputs.
#[inline(always)]
pub(super) fn outputs(m: [f32; 6]) -> [f32; 4] {
    let (sum_a, difference_a) = (m[1] + m[2], A * (m[1] - m[2]));
    let (sum_b, difference_b) = (m[3] + m[4], B * (m[3] - m[4]));
    [
        m[0] + sum_a + sum_b,
        difference_a + difference_b,
        A2 * sum_a + B2 * sum_b,
        A2 * difference_a + B2 * difference_b + m[5],
    ]
}

/// `A dy`: the gradients of four outputs.
#[inline(always)]
pub(super) fn output_gradients(y: [f32; 4]) -> [f32; 6] {
    let (even_a, odd_a) = (y[0] + A2 * y[2], A * (y[1] + A2 * y[3]));
    let (even_b, odd_b) = (y[0] + B2 * y[2], B * (y[1] + B2 * y[3]));
    [y[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, y[3]]
}

/// `G^T m`: to the gradients of three values of a filter.
#[inline(always)]
pub(super) fn filter_gradients(m: [f32; 6]) -> [f32; 3] {
    let (sum_a, difference_a) = (AT_A * (m[1] + m[2]), AT_A * A * (m[1] - m[2]));
    let (sum_b, difference_b) = (AT_B * (m[3] + m[4]), AT_B * B * (m[3] - m[4]));
    [AT_ZERO * m[0] + sum_a + sum_b, difference_a + difference_b, A2 * sum_a + B2 * sum_b + m[5]]
}

/// A matrix of vectors of `LANES` values: how far rows and columns are apart.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// `T x T^T` for `LANES` matrices at once, `line` being `T`.
#[inline(always)]
pub(super) fn transform<const N: usize, const M: usize>(
    line: impl Fn([f32; N]) -> [f32; M],
    from: (&[f32], Steps),
    to: (&mut [f32], Steps),
) {
    let ((from, at), (to, place)) = (from, to);
    // Zeros that are overwritten would be a good part of the time.
    let mut half = [[[MaybeUninit::<f32>::uninit(); LANES]; M]; N];
    for (i, half) in half.iter_mut().enumerate() {
        let row: [&[f32; LANES]; N] = std::array::from_fn(
            #[inline(always)]
            |j| vector(&from[i * at.row + j * at.column..]),
        );
        for l in 0..LANES {
            let results = line(row.map(
                #[inline(always)]
                |vector| vector[l],
            ));
            for (half, result) in half.iter_mut().zip(results) {
                half[l].write(result);
            }
        }
    }
    for m in 0..M {
        let mut column = [[MaybeUninit::<f32>::uninit(); LANES]; M];
        for l in 0..LANES {
            let results = line(std::array::from_fn(
                #[inline(always)]
                // SAFETY: every row has written its lanes.
                |i| unsafe { half[i][m][l].assume_init() },
            ));
            for (column, result) in column.iter_mut().zip(results) {
                column[l].write(result);
            }
        }
        for (k, column) in column.iter().enumerate() {
            for (to, value) in to[k * place.row + m * place.column..][..LANES].iter_mut().zip(column) {
                // SAFETY: every lane was written.
                *to = unsafe { value.assume_init() };
            }
        }
    }
}

#[inline(always)]
fn vector(values: &[f32]) -> &[f32; LANES] {
    values.first_chunk().expect("a vector lies inside its matrix")
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: [f32; 6] = [0.7, -1.3, 0.4, 2.1, -0.6, 1.9];
    const G: [f32; 3] = [-0.8, 0.5, 1.1];
    const Y: [f32; 4] = [1.2, -0.3, 0.9, -2.0];

    fn assert_close<const N: usize>(found: [f32; N], expected: [f32; N]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
        }
    }

    fn product(a: [f32; 6], b: [f32; 6]) -> [f32; 6] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[test]
    fn one_side_is_a_correlation_and_its_gradient() {
        let correlation = std::array::from_fn(|i| (0..3).map(|k| G[k] * D[i + k]).sum());
        assert_close(outputs(product(filter(G), patch(D))), correlation);
        let gradient = std::array::from_fn(|k| (0..4).map(|i| Y[i] * D[i + k]).sum());
        assert_close(filter_gradients(product(output_gradients(Y), patch(D))), gradient);
    }

    #[test]
    fn both_sides_are_transformed_in_every_lane() {
        let values: Vec<f32> = (0..9 * LANES).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut found = [f32::NAN; 36 * LANES];
        let steps = |columns: usize| Steps { row: columns * LANES, column: LANES };
        transform(filter, (&values, steps(3)), (&mut found, steps(6)));
        for lane in 0..LANES {
            let rows: [[f32; 6]; 3] =
                std::array::from_fn(|i| filter(std::array::from_fn(|j| values[(3 * i + j) * LANES + lane])));
            for j in 0..6 {
                let column = filter(std::array::from_fn(|i| rows[i][j]));
                assert_close(std::array::from_fn(|i| found[(6 * i + j) * LANES + lane]), column);
            }
        }
    }
}
