//! Turning the hue, byte for byte as torchvision's `adjust_hue` on a PIL image.
//!
//! Pillow's HSV has 8 bits a channel, so even a small turn rounds every pixel twice (Convert.c, `rgb2hsv_row` and
//! `hsv2rgb`). The arithmetic below takes Pillow's steps in Pillow's precisions, C's implicit `double`s included.

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
    if max == min {
        return [0, 0, max];
    }
    // The sixth of the circle starts at 0, 2 or 4; `toward` and `from` are the two channels' distances to the largest.
    let (start, toward, from) = if r == max {
        (0.0, max - b, max - g)
    } else if g == max {
        (2.0, max - r, max - b)
    } else {
        (4.0, max - g, max - r)
    };
    let chroma = f32::from(max - min);
    let sixths = (start + f64::from(f32::from(toward) / chroma) - f64::from(f32::from(from) / chroma)) as f32;
    let turns = f64::from(sixths) / 6.0 + 1.0;
    let hue = (if turns >= 1.0 { turns - 1.0 } else { turns }) as f32;
    let saturation = chroma / f32::from(max);
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, max]
}

fn rgb_from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
    let Sector { fraction, odd, order } = SECTORS[usize::from(h)];
    let saturation = (f64::from(s) / 255.0) as f32;
    let middle = if odd {
        f64::from(saturation * fraction)
    } else {
        f64::from(saturation) * (1.0 - f64::from(fraction))
    };
    let scaled = |distance: f64| (f64::from(v) * (1.0 - distance) + 0.5) as u8;
    let levels = [v, scaled(middle), scaled(f64::from(saturation))];
    order.map(|level| levels[usize::from(level & 3).min(2)])
}

/// Where an 8-bit hue lies on the circle of six sectors.
#[derive(Clone, Copy)]
struct Sector {
    /// How far into its sector.
    fraction: f32,
    /// Whether the middle channel falls with the hue (it rises in even sectors).
    odd: bool,
    /// Which of largest (0), middle (1) and smallest (2) value red, green and blue take.
    order: [u8; 3],
}

static SECTORS: [Sector; 256] = sectors();

const fn sectors() -> [Sector; 256] {
    const ORDERS: [[u8; 3]; 6] = [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0], [1, 2, 0], [0, 2, 1]];
    let mut sectors = [Sector { fraction: 0.0, odd: false, order: ORDERS[0] }; 256];
    let mut h = 0;
    while h < 256 {
        let sixths = h as f64 * 6.0 / 255.0;
        let sector = sixths as usize;
        sectors[h].fraction = (sixths - sector as f64) as f32;
        sectors[h].odd = sector % 2 == 1;
        sectors[h].order = ORDERS[sector % 6];
        h += 1;
    }
    sectors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_pixels_keep_their_value() {
        for value in 0..=255 {
            let mut pixel = [value; 3];
            turn(&mut pixel, 0.1);
            assert_eq!(pixel, [value; 3]);
        }
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
}
