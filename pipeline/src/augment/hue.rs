//! Turning the hue, byte for byte as torchvision's `adjust_hue` on a PIL image.
//!
//! Pillow's HSV has 8 bits a channel, so even a small turn rounds every pixel twice. Pillow computes in a mix of single
//! and double precision (Convert.c, `rgb2hsv_row` and `hsv2rgb`); here all but the hue itself is exact integer
//! arithmetic without branches, which the tests show to give the same bytes for every colour.

/// Turns the hue of every RGB pixel by `turn` of the colour circle, -0.5 to 0.5. Exactly 0 does nothing.
pub(super) fn turn(pixels: &mut [u8], turn: f64) {
    if turn == 0.0 {
        return;
    }
    // numpy truncates towards zero, then wraps into a byte.
    let shift = (turn * 255.0) as i32 as u8;
    for pixel in pixels.as_chunks_mut::<3>().0 {
        let [h, s, v] = hsv_from_rgb(*pixel);
        *pixel = rgb_from_hsv([h.wrapping_add(shift), s, v]);
    }
}

fn hsv_from_rgb([r, g, b]: [u8; 3]) -> [u8; 3] {
    let max = r.max(g).max(b);
    let min = r.min(g).min(b);
    let middle = r ^ g ^ b ^ max ^ min;
    // Gray has no hue; dividing by 1 gives it one that its saturation of 0 makes irrelevant.
    let chroma = (max - min).max(1);
    let order = usize::from(r >= g) | usize::from(g >= b) << 1 | usize::from(b >= r) << 2;
    let (start, direction) = SIXTHS[order];
    // In Pillow's precisions: an exact quotient would now and then reach a whole hue that the rounded one misses.
    let sixths = (start + direction * f64::from(f32::from(max - middle) / f32::from(chroma))) as f32;
    let turns = f64::from(sixths) / 6.0 + 1.0;
    let hue = (turns - f64::from(u8::from(turns >= 1.0))) as f32;
    let saturation = (u32::from(max - min) * 255 * RECIPROCALS[usize::from(max)]) >> 24;
    [(f64::from(hue) * 255.0) as i32 as u8, saturation as u8, max]
}

fn rgb_from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
    let Sector { distance, order } = SECTORS[usize::from(h)];
    let levels = [v, scaled(v, s, distance), scaled(v, s, 255), 0];
    order.map(|level| levels[usize::from(level & 3)])
}

/// `v * (1 - s/255 * distance/255)`, rounded. There are no ties: 65025 is odd.
fn scaled(v: u8, s: u8, distance: u8) -> u8 {
    let share = 65_025 - u32::from(s) * u32::from(distance);
    ((2 * u32::from(v) * share + 65_025) / 130_050) as u8
}

/// Where the hue starts and which way it runs with the middle channel's distance from the largest, in sixths of the
/// circle, by which of r >= g (1), g >= b (2), b >= r (4) hold.
///
/// Where two channels are equal, each of the orders that fit gives the same hue.
const SIXTHS: [(f64, f64); 8] = [
    (0.0, 0.0),  // impossible
    (-1.0, 1.0), // r > b > g
    (1.0, 1.0),  // g > r > b
    (1.0, -1.0), // r > g > b
    (3.0, 1.0),  // b > g > r
    (5.0, -1.0), // b > r > g
    (3.0, -1.0), // g > b > r
    (0.0, 0.0),  // gray
];

/// `ceil(2^24 / n)`: multiplying by it and shifting divides products of two bytes exactly.
static RECIPROCALS: [u32; 256] = {
    let mut reciprocals = [0; 256];
    let mut n = 1;
    while n < 256 {
        reciprocals[n] = (1u32 << 24).div_ceil(n as u32);
        n += 1;
    }
    reciprocals
};

/// Where an 8-bit hue lies on the circle of six sectors.
#[derive(Clone, Copy)]
struct Sector {
    /// Of the middle channel from the largest, in 255ths of the smallest channel's.
    distance: u8,
    /// Which of largest (0), middle (1) and smallest (2) value red, green and blue take.
    order: [u8; 3],
}

static SECTORS: [Sector; 256] = {
    const ORDERS: [[u8; 3]; 6] = [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0], [1, 2, 0], [0, 2, 1]];
    let mut sectors = [Sector { distance: 0, order: ORDERS[0] }; 256];
    let mut h = 0;
    while h < 256 {
        let (sector, fraction) = (h * 6 / 255, (h * 6 % 255) as u8);
        // The middle channel rises in even sectors and falls in odd ones.
        let distance = if sector % 2 == 0 { 255 - fraction } else { fraction };
        sectors[h] = Sector { distance, order: ORDERS[sector % 6] };
        h += 1;
    }
    sectors
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_color_has_pillows_hsv() {
        for_every_triple(|rgb| {
            let [h, s, v] = hsv_from_rgb(rgb);
            let h = if s == 0 { 0 } else { h };
            assert_eq!([h, s, v], pillow::hsv_from_rgb(rgb), "{rgb:?}");
        });
    }

    #[test]
    fn every_hsv_has_pillows_color() {
        for_every_triple(|hsv| assert_eq!(rgb_from_hsv(hsv), pillow::rgb_from_hsv(hsv), "{hsv:?}"));
    }

    #[test]
    fn a_third_of_a_turn_rotates_the_primaries() {
        let mut pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255];
        turn(&mut pixels, 1.0 / 3.0);
        assert_eq!(pixels, [0, 255, 0, 0, 0, 255, 255, 0, 0]);
    }

    #[test]
    fn a_negative_turn_wraps() {
        let mut pixel = [255, 0, 0];
        turn(&mut pixel, -0.2);
        assert_eq!(pixel, [210, 0, 255], "hue 0 - 51 wraps to 205: sector 4.82, a little before magenta");
    }

    fn for_every_triple(check: impl Fn([u8; 3])) {
        for a in 0..=255 {
            for b in 0..=255 {
                (0..=255).for_each(|c| check([a, b, c]));
            }
        }
    }

    /// Convert.c step by step, C's implicit promotions to `double` included.
    mod pillow {
        pub(super) fn hsv_from_rgb([r, g, b]: [u8; 3]) -> [u8; 3] {
            let (max, min) = (r.max(g).max(b), r.min(g).min(b));
            if max == min {
                return [0, 0, max];
            }
            let chroma = f32::from(max - min);
            let saturation = chroma / f32::from(max);
            let [rc, gc, bc] = [r, g, b].map(|channel| f32::from(max - channel) / chroma);
            let sixths = if r == max {
                bc - gc
            } else if g == max {
                (2.0 + f64::from(rc) - f64::from(bc)) as f32
            } else {
                (4.0 + f64::from(gc) - f64::from(rc)) as f32
            };
            let hue = libm::fmod(f64::from(sixths) / 6.0 + 1.0, 1.0) as f32;
            [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, max]
        }

        pub(super) fn rgb_from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
            if s == 0 {
                return [v; 3];
            }
            let sixths = f64::from(h) * 6.0 / 255.0;
            let sector = libm::floor(sixths);
            let f = (sixths - sector) as f32;
            let fs = (f64::from(s) / 255.0) as f32;
            let level = |distance: f64| libm::round(f64::from(v) * (1.0 - distance)) as u8;
            let p = level(f64::from(fs));
            let q = level(f64::from(fs * f));
            let t = level(f64::from(fs) * (1.0 - f64::from(f)));
            match sector as u8 % 6 {
                0 => [v, t, p],
                1 => [q, v, p],
                2 => [p, v, t],
                3 => [p, q, v],
                4 => [t, p, v],
                _ => [v, p, q],
            }
        }
    }
}
