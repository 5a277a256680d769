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
        for (row, out) in plane.chunks_exact_mut(size).enumerate().take(size - 1).skip(1) {
            let rows = [row - 1, row, row + 1].map(|row| &copy[row * size..][..size]);
            sharpen_row(cpu, rows, &mut out[1..size - 1], factor as f32);
        }
    }
}

for_each_cpu! {
    /// One row without its ends. The sum of nine pixels, the middle one five times, over 13: rounded, it is what Pillow's single
    /// precision gives, for no such quotient is near a half.
    fn sharpen_row(rows: [&[u8]; 3], out: &mut [u8], factor: f32) {
        for (x, out) in out.iter_mut().enumerate() {
            let of_row = |row: &[u8]| u32::from(row[x]) + u32::from(row[x + 1]) + u32::from(row[x + 2]);
            let middle = rows[1][x + 1];
            let sum = of_row(rows[0]) + of_row(rows[1]) + of_row(rows[2]) + 4 * u32::from(middle);
            let smooth = ((2 * sum + 13) / 26) as u8;
            *out = blend(smooth, middle, factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
