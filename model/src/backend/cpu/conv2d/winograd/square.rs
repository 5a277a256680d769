//! Planes and pixels are turned into each other in squares that fit the registers.

/// Channels and pixels that are transposed at a time.
pub(super) const SQUARE: usize = 8;

#[inline(always)]
pub(super) fn transposed(square: [[f32; SQUARE]; SQUARE]) -> [[f32; SQUARE]; SQUARE] {
    std::array::from_fn(
        #[inline(always)]
        |j| {
            std::array::from_fn(
                #[inline(always)]
                |i| square[i][j],
            )
        },
    )
}
