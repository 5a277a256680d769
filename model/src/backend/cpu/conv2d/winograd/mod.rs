//! 3x3 convolution with stride 1 by Winograd's minimal filtering F(4x4, 3x3): sixteen outputs take 36 multiplications
//! per channel instead of 144 (Lavin & Gray 2015, section 4.1).
//!
//! `Y = A^T [(G g G^T) . (B^T d B)] A` for each 6x6 patch `d`; the products over channels become one matrix product for
//! each of the 36 places of a patch. Summed in chains of at most 32 channels the error (of uniform noise, rms 7e-7 of the
//! results' at 64 and at 256 channels) is about that of one direct chain (4e-7 and 9e-7).

use crate::backend::Conv2dGeometry;

mod transforms;

mod blocks;

mod patches;

mod images;

mod filters;

mod correlation;
pub(super) use correlation::Winograd;

mod weight_gradient;
pub(super) use weight_gradient::WinogradWeightGradient;

/// With fewer channels the transforms take more time than they save.
const MIN_CHANNELS: usize = 16;

/// Whether these sizes gain.
fn suits(g: &Conv2dGeometry) -> bool {
    (g.kernel, g.stride, g.pad) == (3, 1, 1) && g.in_channels.min(g.out_channels) >= MIN_CHANNELS
}
