//! Sums over a channel: in f32 for a while, then in f64.

/// Independent sums, so that additions overlap.
const LANES: usize = 32;
/// Values that each lane adds up in f32, before the sum goes on in f64.
const RUN: usize = 32;

/// The two sums of `f` over all places of the slices, which are equally long.
#[inline(always)]
pub(super) fn sums<const N: usize>(slices: [&[f32]; N], f: impl Fn([f32; N]) -> [f32; 2]) -> [f64; 2] {
    let len = slices[0].len();
    let mut totals = [0.0; 2];
    for from in (0..len).step_by(LANES * RUN) {
        let slices = slices.map(|slice| &slice[from..len.min(from + LANES * RUN)]);
        let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
        let whole = slices[0].len() / LANES;
        let chunks = slices.map(|slice| &slice.as_chunks::<LANES>().0[..whole]);
        for i in 0..whole {
            for lane in 0..LANES {
                let [x, y] = f(chunks.map(|chunks| chunks[i][lane]));
                first[lane] += x;
                second[lane] += y;
            }
        }
        let rest = slices.map(|slice| &slice[whole * LANES..]);
        for lane in 0..rest[0].len() {
            let [x, y] = f(rest.map(|slice| slice[lane]));
            first[lane] += x;
            second[lane] += y;
        }
        totals[0] += pairwise(first);
        totals[1] += pairwise(second);
    }
    totals
}

/// The sum of the lanes, half onto half.
#[inline(always)]
fn pairwise(mut lanes: [f32; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    f64::from(lanes[0])
}
