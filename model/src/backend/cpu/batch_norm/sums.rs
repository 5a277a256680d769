//! Sums over a channel: in f32 for a while, then in f64.

/// Independent sums, so that additions overlap.
const LANES: usize = 32;
/// Values that each lane adds up in f32, at most, before the sum goes on in f64.
const RUN: usize = 33;

/// Two sums over the same places.
#[derive(Clone)]
pub(super) struct Sums {
    lanes: [[f32; LANES]; 2],
    /// How many values a lane holds.
    held: usize,
    totals: [f64; 2],
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { lanes: [[0.0; LANES]; 2], held: 0, totals: [0.0; 2] }
    }

    /// Adds `f` of every place of the slices.
    #[inline(always)]
    pub(super) fn add<const N: usize>(&mut self, slices: [&[f32]; N], f: impl Fn([f32; N]) -> [f32; 2]) {
        let len = slices[0].len();
        for from in (0..len).step_by(LANES * (RUN - 1)) {
            let slices = slices.map(|slice| &slice[from..len.min(from + LANES * (RUN - 1))]);
            let whole = slices[0].len() / LANES;
            if self.held + whole + 1 > RUN {
                self.flush();
            }
            let [mut first, mut second] = self.lanes;
            let lanes = slices.map(|slice| &slice.as_chunks::<LANES>().0[..whole]);
            for i in 0..whole {
                for lane in 0..LANES {
                    let [x, y] = f(lanes.map(|chunks| chunks[i][lane]));
                    first[lane] += x;
                    second[lane] += y;
                }
            }
            for lane in 0..slices[0].len() % LANES {
                let [x, y] = f(slices.map(|slice| slice[whole * LANES + lane]));
                first[lane] += x;
                second[lane] += y;
            }
            self.lanes = [first, second];
            self.held += whole + 1;
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        for (total, lanes) in self.totals.iter_mut().zip(&mut self.lanes) {
            *total += pairwise(std::mem::replace(lanes, [0.0; LANES]));
        }
        self.held = 0;
    }

    #[inline(always)]
    pub(super) fn total(mut self) -> [f64; 2] {
        self.flush();
        self.totals
    }
}

/// The sum of the lanes, half onto half.
#[inline(always)]
fn pairwise(lanes: [f32; LANES]) -> f64 {
    let mut sums = [0.0f64; LANES / 4];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = f64::from(lanes[i] + lanes[i + LANES / 2])
            + f64::from(lanes[i + LANES / 4] + lanes[i + 3 * LANES / 4]);
    }
    sums.iter().sum()
}
