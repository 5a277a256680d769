//! Filters, transformed and laid out as right factors.

use super::blocks::{PLACES, SIDE};
use super::transforms::{LANES, Steps, filter, transform};
use crate::backend::Conv2dGeometry;

/// Outputs that share a panel, at most: a multiple of every instruction set's tile.
pub(super) const PANEL: usize = 48;
/// Values of a filter.
const TAPS: usize = 9;

/// 3x3 filters, for a product from `inputs` to `outputs` channels.
#[derive(Clone, Copy)]
pub(super) struct Filters<'w> {
    weight: &'w [f32],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    direction: Direction,
}

#[derive(Clone, Copy)]
enum Direction {
    /// `x -> w * x`.
    Forward,
    /// `dy -> dx`: filters turned by 180 degrees, inputs and outputs exchanged.
    Backward,
}

impl<'w> Filters<'w> {
    pub(super) fn forward(g: &Conv2dGeometry, weight: &'w [f32]) -> Self {
        Self { weight, inputs: g.in_channels, outputs: g.out_channels, direction: Direction::Forward }
    }

    pub(super) fn backward(g: &Conv2dGeometry, weight: &'w [f32]) -> Self {
        Self { weight, inputs: g.out_channels, outputs: g.in_channels, direction: Direction::Backward }
    }

    /// The outputs of each panel.
    pub(super) fn panels(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let outputs = self.outputs;
        (0..outputs).step_by(PANEL).map(move |first| first..outputs.min(first + PANEL))
    }

    /// Values of a panel of this many outputs.
    pub(super) fn panel_len(&self, outputs: usize) -> usize {
        PLACES * self.inputs * outputs.next_multiple_of(LANES)
    }

    /// `place x input x output` of some outputs, filled up to whole vectors.
    #[inline(always)]
    pub(super) fn transform_panel(&self, outputs: std::ops::Range<usize>, panel: &mut [f32]) {
        let width = outputs.len().next_multiple_of(LANES);
        let steps = Steps { row: SIDE * self.inputs * width, column: self.inputs * width };
        for first in (0..width).step_by(LANES) {
            let count = LANES.min(outputs.len() - first);
            for input in 0..self.inputs {
                let mut taps = [[0.0f32; LANES]; TAPS];
                for lane in 0..count {
                    let filter = self.filter(outputs.start + first + lane, input);
                    for (tap, taps) in taps.iter_mut().enumerate() {
                        taps[lane] = filter[tap];
                    }
                }
                if matches!(self.direction, Direction::Backward) {
                    taps.reverse();
                }
                let from = (taps.as_flattened(), Steps { row: 3 * LANES, column: LANES });
                transform(filter, from, (&mut panel[input * width + first..], steps));
            }
        }
    }

    #[inline(always)]
    fn filter(&self, output: usize, input: usize) -> &[f32; TAPS] {
        let at = match self.direction {
            Direction::Forward => output * self.inputs + input,
            Direction::Backward => input * self.outputs + output,
        };
        self.weight[at * TAPS..].first_chunk().expect("a filter has nine values")
    }
}
