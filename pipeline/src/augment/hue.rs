//! Turning the hue, byte for byte as torchvision's `adjust_hue` on a PIL image.
//!
//! Pillow's HSV has 8 bits a channel, so even a small turn rounds every pixel twice. Pillow computes in a mix of single
//! and double precision (Convert.c, `rgb2hsv_row` and `hsv2rgb`); here everything is single precision without branches or
//! tables, so that it vectorises. The tests show that it gives the same bytes for every colour.

use super::color::truncated;
use super::cpu::{Cpu, for_each_cpu};
use super::planes::Planes;

/// Turns the hue of every pixel by `turn` of the colour circle, -0.5 to 0.5. Exactly 0 does nothing.
pub(super) fn turn(cpu: Cpu, view: &mut Planes, turn: f64) {
    if turn == 0.0 {
        return;
    }
    // numpy truncates towards zero, then wraps into a byte.
    let shift = (turn * 255.0) as i32 as u8;
    let [r, g, b] = view.split_mut();
    turn_planes(cpu, r, g, b, shift);
}

for_each_cpu! {
    fn turn_planes(r: &mut [u8], g: &mut [u8], b: &mut [u8], shift: u8) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let [h, s, v] = hsv_from_rgb([*r, *g, *b]);
            [*r, *g, *b] = rgb_from_hsv([h.wrapping_add(shift), s, v]);
        }
    }
}

/// A gray pixel has no hue; it gets one that its saturation of 0 makes irrelevant.
#[inline(always)]
fn hsv_from_rgb([r, g, b]: [u8; 3]) -> [u8; 3] {
    let max = r.max(g).max(b);
    let min = r.min(g).min(b);
    let middle = r ^ g ^ b ^ max ^ min;
    let chroma = f32::from(max - min);
    let from_max = f32::from(max - middle) / f32::from((max - min).max(1));
    // The hue runs in sixths of the circle from the largest channel's own hue, `home`, towards the next channel's or back
    // towards the one's before. In 255ths, these sixths start at whole numbers or at halves, here rounded down.
    let (home, forwards, start, start_back) = if r == max {
        (0.0, g >= b, 0, 212)
    } else if g == max {
        (2.0, b >= r, 85, 42)
    } else {
        (4.0, r >= g, 170, 127)
    };
    let sixths: f32 = if forwards { home + 1.0 - from_max } else { home - 1.0 + from_max };
    // Only what is left of a sixth goes through single precision: it keeps enough bits to fall on Pillow's side of a whole
    // hue, once the rounding of Pillow's later steps is made up for by NUDGE.
    const NUDGE: f32 = 1.0 / (1 << 20) as f32;
    let (start, sixth, rest) =
        if forwards { (start, home, home * NUDGE) } else { (start_back, home - 1.0, 0.5 + NUDGE) };
    let hue = start + i32::from(truncated((sixths - sixth) * 42.5 + rest));
    // Rounded half a level down instead of truncated; a quotient of bytes has no fraction above 254/255.
    [hue as u8, rounded(chroma * 255.0 / f32::from(max.max(1)) - 0.4985), max]
}

/// Each channel lies below the value by a share of the chroma that its distance from the hue says:
/// `v - v * s/255 * clamp(distance, 0, 1)`, rounded.
#[inline(always)]
fn rgb_from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
    // In 255ths of a sixth, the circle is 1530 round; cyan is at 765, blue at 1020 and so on.
    let hue = i32::from(h) * 6;
    let chroma = (i32::from(v) * i32::from(s)) as f32;
    let below = [510 - (hue - 765).abs(), (hue - 510).abs() - 255, (hue - 1020).abs() - 255];
    // The products are whole numbers below 2^24, thus exact. 65025 is odd, so there are no ties, and no product of bytes
    // lies so close to one that the reciprocal's error shows.
    below.map(|distance| v - rounded(chroma * distance.clamp(0, 255) as f32 * (1.0 / 65_025.0)))
}

/// The nearest whole number, for levels from -0.5 to 255: there is no room for a fraction beside 2^23.
#[inline(always)]
fn rounded(level: f32) -> u8 {
    (level + (3 << 22) as f32).to_bits() as u8
}

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
        let primaries = [255, 0, 0, 0, 255, 0, 0, 0, 255];
        assert_eq!(turned(&primaries, 1.0 / 3.0), [0, 255, 0, 0, 0, 255, 255, 0, 0]);
    }

    #[test]
    fn a_negative_turn_wraps() {
        assert_eq!(
            turned(&[255, 0, 0], -0.2),
            [210, 0, 255],
            "hue 0 - 51 wraps to 205: sector 4.82, a little before magenta"
        );
    }

    #[test]
    fn every_cpu_turns_every_color_alike() {
        let colors: Vec<u8> =
            (0..256 * 256u32).flat_map(|i| [i as u8, (i >> 8) as u8, (i >> 4) as u8]).collect();
        for shift in [0, 1, 25, 230, 255] {
            let results = Cpu::all().into_iter().map(|cpu| {
                let mut view = Planes::of_interleaved(&colors);
                let [r, g, b] = view.split_mut();
                turn_planes(cpu, r, g, b, shift);
                view.interleaved()
            });
            assert!(
                results.reduce(|a, b| if a == b { a } else { vec![] }).is_some_and(|all| !all.is_empty())
            );
        }
    }

    fn turned(pixels: &[u8], by: f64) -> Vec<u8> {
        let mut view = Planes::of_interleaved(pixels);
        turn(Cpu::best(Default::default()), &mut view, by);
        view.interleaved()
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
