//! Transposition, in squares that fit the registers.

#[cfg(target_arch = "x86_64")]
use super::Instructions;

/// Rows and columns of a square.
pub(super) const SQUARE: usize = 8;

/// A square of values, row after row.
pub(super) type Square = [[f32; SQUARE]; SQUARE];

/// `to[k][i] = from[i][k]`, with rows `stride` and `to_stride` apart.
#[inline(always)]
pub(super) fn transpose(
    from: &[f32],
    stride: usize,
    rows: usize,
    columns: usize,
    to: &mut [f32],
    to_stride: usize,
) {
    for i in (0..rows).step_by(SQUARE) {
        for k in (0..columns).step_by(SQUARE) {
            let (height, width) = (SQUARE.min(rows - i), SQUARE.min(columns - k));
            if (height, width) == (SQUARE, SQUARE) {
                let square = std::array::from_fn(
                    #[inline(always)]
                    |line| *from[(i + line) * stride + k..].first_chunk().expect("a line of a square"),
                );
                for (j, column) in transposed(&square).iter().enumerate() {
                    to[(k + j) * to_stride + i..][..SQUARE].copy_from_slice(column);
                }
            } else {
                for line in 0..height {
                    for j in 0..width {
                        to[(k + j) * to_stride + i + line] = from[(i + line) * stride + k + j];
                    }
                }
            }
        }
    }
}

/// The transpose of a square.
#[inline(always)]
pub(super) fn transposed(square: &Square) -> Square {
    #[cfg(target_arch = "x86_64")]
    if Instructions::Avx2.are_usable() {
        // SAFETY: the machine has AVX2, and so AVX.
        return unsafe { transposed_by_shuffles(square) };
    }
    std::array::from_fn(|j| std::array::from_fn(|i| square[i][j]))
}

/// [`transposed`] in three rounds: of pairs of values, of pairs of pairs, and of halves. A compiler does not find them.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx")]
fn transposed_by_shuffles(square: &Square) -> Square {
    use std::arch::x86_64::*;

    // SAFETY: a row is a vector long.
    let rows = square.each_ref().map(|row| unsafe { _mm256_loadu_ps(row.as_ptr()) });
    let mut pairs = rows;
    for i in (0..SQUARE).step_by(2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    let mut fours = pairs;
    for i in (0..SQUARE).step_by(4) {
        for j in 0..2 {
            let (upper, lower) = (pairs[i + j], pairs[i + j + 2]);
            fours[i + 2 * j] = _mm256_shuffle_ps::<0b01_00_01_00>(upper, lower);
            fours[i + 2 * j + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(upper, lower);
        }
    }
    let mut columns = [[0.0; SQUARE]; SQUARE];
    for i in 0..SQUARE / 2 {
        let (upper, lower) = (fours[i], fours[i + SQUARE / 2]);
        // SAFETY: a column is a vector long.
        unsafe {
            _mm256_storeu_ps(columns[i].as_mut_ptr(), _mm256_permute2f128_ps::<0x20>(upper, lower));
            _mm256_storeu_ps(
                columns[i + SQUARE / 2].as_mut_ptr(),
                _mm256_permute2f128_ps::<0x31>(upper, lower),
            );
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows() {
        for (rows, columns) in [(1, 1), (8, 8), (9, 23), (16, 5), (24, 40)] {
            let (stride, to_stride) = (columns + 3, rows + 2);
            let from: Vec<f32> = (0..rows * stride).map(|value| value as f32).collect();
            let mut to = vec![-1.0; columns * to_stride];
            transpose(&from, stride, rows, columns, &mut to, to_stride);
            for (at, found) in to.iter().enumerate() {
                let (k, i) = (at / to_stride, at % to_stride);
                let expected = if i < rows { from[i * stride + k] } else { -1.0 };
                assert_eq!(*found, expected, "{rows} x {columns}: {k}, {i}");
            }
        }
    }
}
