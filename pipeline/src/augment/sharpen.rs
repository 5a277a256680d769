//! `ImageEnhance.Sharpness`: a blend with the image smoothed by Pillow's `SMOOTH`, but for its border.

use super::color::blend;
use super::cpu::{Cpu, for_each_cpu};
use super::planes::Planes;

/// `ImageEnhance.Sharpness(image).enhance(factor)` of square planes; `copy` is scratch.
pub(super) fn sharpness(cpu: Cpu, view: &mut Planes, size: usize, factor: f64, copy: &mut Vec<u8>) {
    if size < 3 {
        return; // all border
    }
    for plane in view.split_mut() {
        copy.clear();
        copy.extend_from_slice(plane);
        sharpen(cpu, copy, size, factor as f32, &mut plane[size + 1..size * (size - 1) - 1]);
        // At the ends of rows, pixels of two rows were mixed.
        for end in (size - 1..size * (size - 1)).step_by(size) {
            plane[end..end + 2].copy_from_slice(&copy[end..end + 2]);
        }
    }
}

for_each_cpu! {
    /// From the second pixel of the second row on, as if all were one row.
    fn sharpen(pixels: &[u8], size: usize, factor: f32, out: &mut [u8]) {
        let rows = [pixels, &pixels[size..], &pixels[2 * size..]];
        let from = |row: usize, column: usize| &rows[row][column..][..out.len()];
        let [above, middle, below] = [0, 1, 2].map(|row| [from(row, 0), from(row, 1), from(row, 2)]);
        for (x, out) in out.iter_mut().enumerate() {
            let sum = |row: [&[u8]; 3]| u16::from(row[0][x]) + u16::from(row[1][x]) + u16::from(row[2][x]);
            *out = smoothed(sum(above) + sum(middle) + sum(below) + 4 * u16::from(middle[1][x]));
        }
        for (out, &middle) in out.iter_mut().zip(middle[1]) {
            *out = blend(*out, middle, factor);
        }
    }
}

/// The sum of nine pixels, the middle one five times, over 13: rounded, it is what Pillow's single precision gives, for no
/// such quotient is near a half.
#[inline(always)]
fn smoothed(sum: u16) -> u8 {
    // 5042 is 65536 / 13, rounded up: exact for all sums of bytes.
    ((u32::from(sum + 6) * 5042) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_is_divided_exactly() {
        for sum in 0..=13 * 255 {
            assert_eq!(f64::from(smoothed(sum)), (f64::from(sum) / 13.0).round());
        }
    }

    #[test]
    fn the_border_stays_and_processors_agree() {
        for size in [1, 2, 3, 8, 33] {
            let pixels: Vec<u8> = (0..size * size * 3).map(|i| (i * i % 251) as u8).collect();
            let mut results = Vec::new();
            for cpu in Cpu::all() {
                let mut view = Planes::of_interleaved(&pixels);
                sharpness(cpu, &mut view, size, 1.7, &mut Vec::new());
                results.push(view.interleaved());
            }
            assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
            for (pixel, (found, before)) in results[0].chunks(3).zip(pixels.chunks(3)).enumerate() {
                let is_border = |at: usize| at == 0 || at == size - 1;
                if is_border(pixel / size) || is_border(pixel % size) {
                    assert_eq!(found, before);
                }
            }
        }
    }
}
