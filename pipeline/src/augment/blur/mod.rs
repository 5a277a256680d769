//! Gaussian blur, byte for byte as Pillow's `ImageFilter.GaussianBlur`.
//!
//! Pillow approximates the Gaussian by three passes of a box blur whose radius has a fraction, first along the rows,
//! then along the columns, on bytes (BoxBlur.c, after Gwosdek et al. 2011). Edges are replicated.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use super::cpu::{Cpu, for_each_cpu};
use super::planes::Planes;

/// Passes in each direction.
const PASSES: usize = 3;

/// Rows that are blurred together: as u16, twice, they fit the first cache.
const ROWS: usize = 16;

/// Columns that are blurred together, for the same reason.
const STRIP: usize = 32;

/// Blurs square views, reusing its memory.
#[derive(Debug)]
pub(super) struct Blur {
    cpu: Cpu,
    line: Vec<u16>,
    blurred: Vec<u16>,
}

impl Blur {
    pub(super) fn new(cpu: Cpu) -> Self {
        Self { cpu, line: Vec::new(), blurred: Vec::new() }
    }

    /// Blurs a view of `size` x `size` pixels with standard deviation `sigma`.
    pub(super) fn gaussian(&mut self, view: &mut Planes, size: usize, sigma: f64) {
        let kernel = BoxKernel::for_gaussian(sigma as f32);
        if kernel.is_identity() {
            return;
        }
        let [r, g, b] = view.split();
        let is_gray = r == g && r == b;
        for plane in view.split_mut().into_iter().take(if is_gray { 1 } else { 3 }) {
            for rows in plane.chunks_mut(size * ROWS) {
                self.blur_lines(rows, Lines { width: size, stride: size, step: 1, length: size }, &kernel);
            }
            for left in (0..size).step_by(STRIP) {
                let width = STRIP.min(size - left);
                let strip = Lines { width, stride: size, step: width, length: size * width };
                self.blur_lines(&mut plane[left..], strip, &kernel);
            }
        }
        if is_gray {
            let [r, g, b] = view.split_mut();
            g.copy_from_slice(r);
            b.copy_from_slice(r);
        }
    }

    fn blur_lines(&mut self, bytes: &mut [u8], lines: Lines, kernel: &BoxKernel) {
        let Lines { width, stride, step, length } = lines;
        let pad = (kernel.radius + 1) * step;
        let padded = length + 2 * pad;
        let count = bytes.len().div_ceil(stride) * width / length;
        // From one row to the next: each row is a line, or all are one.
        let advance = if length == width { padded } else { width };
        for line in [&mut self.line, &mut self.blurred] {
            line.resize(count * padded, 0);
        }
        load(self.cpu, bytes, lines, &mut self.line[pad..], advance);
        for _ in 0..PASSES {
            for line in self.line.chunks_exact_mut(padded) {
                let (before, rest) = line.split_at_mut(pad);
                let (line, after) = rest.split_at_mut(length);
                replicate(&line[..step], before);
                replicate(&line[length - step..], after);
            }
            // What is computed for the room between two lines is overwritten.
            let inside = pad..count * padded - pad;
            blur_line(self.cpu, &self.line, step, *kernel, &mut self.blurred[inside]);
            std::mem::swap(&mut self.line, &mut self.blurred);
        }
        store(self.cpu, &self.line[pad..], advance, lines, bytes);
    }
}

/// Rows of a plane as lines that are blurred. Neighbours in the direction of the blur are always the same `step` apart in
/// memory, so that one kernel blurs both along the rows and down the columns.
#[derive(Debug, Clone, Copy)]
struct Lines {
    /// Bytes of a row that take part.
    width: usize,
    /// Bytes from one row to the next.
    stride: usize,
    /// From a value to its neighbour in the direction of the blur: 1, or `width` down the columns.
    step: usize,
    /// Values of a line: a row, or all rows one after another.
    length: usize,
}

/// Fills the room beyond an edge with the values at the edge.
fn replicate(edge: &[u16], beyond: &mut [u16]) {
    if let [value] = *edge {
        beyond.fill(value);
    } else {
        beyond.chunks_exact_mut(edge.len()).for_each(|out| out.copy_from_slice(edge));
    }
}

for_each_cpu! {
    fn load(bytes: &[u8], lines: Lines, out: &mut [u16], advance: usize) {
        for (row, line) in bytes.chunks(lines.stride).zip(out.chunks_mut(advance)) {
            let line = &mut line[..lines.width];
            // The usual length as a constant makes one instruction of the loop.
            if let (Ok(line), Some(row)) = (<&mut [u16; STRIP]>::try_from(&mut *line), row.first_chunk::<STRIP>()) {
                (0..STRIP).for_each(|i| line[i] = u16::from(row[i]));
            } else {
                line.iter_mut().zip(row).for_each(|(value, &byte)| *value = u16::from(byte));
            }
        }
    }
}

for_each_cpu! {
    fn store(blurred: &[u16], advance: usize, lines: Lines, bytes: &mut [u8]) {
        for (row, line) in bytes.chunks_mut(lines.stride).zip(blurred.chunks(advance)) {
            let line = &line[..lines.width];
            if let (Ok(line), Some(row)) = (<&[u16; STRIP]>::try_from(line), row.first_chunk_mut::<STRIP>()) {
                (0..STRIP).for_each(|i| row[i] = line[i] as u8);
            } else {
                row.iter_mut().zip(line).for_each(|(byte, &value)| *byte = value as u8);
            }
        }
    }
}

/// Blurs a line once; `padded` has `radius + 1` steps more at both ends than `out`.
fn blur_line(cpu: Cpu, padded: &[u16], step: usize, kernel: BoxKernel, out: &mut [u16]) {
    match cpu {
        // The only radii for standard deviations up to about 2.4.
        #[cfg(target_arch = "x86_64")]
        Cpu::Avx2(avx2) if kernel.radius <= 1 => avx2::blur_line(avx2, padded, step, kernel, out),
        #[cfg(target_arch = "x86_64")]
        Cpu::Avx512(avx512) if kernel.radius <= 1 => avx512::blur_line(avx512, padded, step, kernel, out),
        _ => scalar::blur_line(cpu, padded, step, kernel, out),
    }
}

/// A box of `2 * radius + 1` full weights with a partial one at each end, in 24-bit fixed point.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BoxKernel {
    radius: usize,
    full: u32,
    partial: u32,
}

impl BoxKernel {
    /// The box whose three passes have the Gaussian's variance (BoxBlur.c, `_gaussian_blur_radius`), in Pillow's
    /// single precision.
    fn for_gaussian(sigma: f32) -> Self {
        let variance = sigma * sigma / PASSES as f32;
        let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
        let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
        let fraction = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
            / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
        Self::with_radius(whole + fraction)
    }

    fn with_radius(radius: f32) -> Self {
        let full = ((1u32 << 24) as f32 / (radius * 2.0 + 1.0)) as u32;
        let whole = radius as u32;
        Self { radius: whole as usize, full, partial: ((1 << 24) - (whole * 2 + 1) * full) / 2 }
    }

    fn is_identity(&self) -> bool {
        self.full == 1 << 24
    }

    /// The full and the partial weight as 16-bit pairs: their low parts, which may be negative, and their high parts.
    #[cfg(target_arch = "x86_64")]
    fn halves(&self) -> [i32; 2] {
        let low = |weight: u32| weight as i16;
        let high = |weight: u32| ((weight as i32 - i32::from(low(weight))) >> 16) as i16;
        let pair = |full: i16, partial: i16| i32::from(full as u16) | i32::from(partial) << 16;
        [pair(low(self.full), low(self.partial)), pair(high(self.full), high(self.partial))]
    }

    /// At most 255 * 2^24 + 2^23, which fits.
    #[inline(always)]
    fn mean(&self, sum: u32, ends: u32) -> u16 {
        ((sum * self.full + ends * self.partial + (1 << 23)) >> 24) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Blur {
        pub(in crate::augment) fn capacities(&self) -> [usize; 2] {
            [self.line.capacity(), self.blurred.capacity()]
        }
    }

    #[test]
    fn a_constant_image_stays_constant() {
        for sigma in [0.0, 0.1, 0.5, 1.3, 2.0, 3.7, 40.0] {
            let mut view = Planes::of_interleaved(&[200; 5 * 5 * 3]);
            Blur::new(Cpu::best(Default::default())).gaussian(&mut view, 5, sigma);
            assert!(view.bytes().iter().all(|&value| value.abs_diff(200) <= 1), "sigma {sigma}: {view:?}");
        }
    }

    #[test]
    fn gray_stays_gray() {
        let shades: Vec<u8> = (0..24 * 24).map(|i| (i * i % 251) as u8).collect();
        let blurred = |pixels: &[u8]| {
            let mut view = Planes::of_interleaved(pixels);
            Blur::new(Cpu::best(Default::default())).gaussian(&mut view, 24, 1.2);
            view
        };
        let gray: Vec<u8> = shades.iter().flat_map(|&shade| [shade; 3]).collect();
        let red: Vec<u8> = shades.iter().flat_map(|&shade| [shade, 0, 0]).collect();
        assert_eq!(blurred(&gray).split(), [blurred(&red).split()[0]; 3]);
    }

    #[test]
    fn every_size_is_box_blurs_on_every_cpu() {
        for size in (1..=64).chain([97]) {
            let pixels: Vec<u8> = (0..size * size * 3).map(|i| ((i * i * 31) >> 5) as u8).collect();
            for sigma in [0.1, 0.7, 1.0, 1.9, 3.3, 9.0] {
                let expected = box_blur(&pixels, size, &BoxKernel::for_gaussian(sigma as f32));
                for cpu in Cpu::all() {
                    let mut view = Planes::of_interleaved(&pixels);
                    Blur::new(cpu).gaussian(&mut view, size, sigma);
                    assert!(view.interleaved() == expected, "size {size}, sigma {sigma}, {cpu:?}");
                }
            }
        }
    }

    /// Every tap of every pass looked up by itself.
    fn box_blur(pixels: &[u8], size: usize, kernel: &BoxKernel) -> Vec<u8> {
        let mut pixels = pixels.to_vec();
        let reach = kernel.radius as i64 + 1;
        for (dx, dy) in [(1, 0), (1, 0), (1, 0), (0, 1), (0, 1), (0, 1)] {
            let before = pixels.clone();
            for (i, value) in pixels.iter_mut().enumerate() {
                let (x, y, channel) = (i / 3 % size, i / 3 / size, i % 3);
                let tap = |step: i64| {
                    let inside =
                        |at: usize, d: i64| (at as i64 + step * d).clamp(0, size as i64 - 1) as usize;
                    u64::from(before[(inside(y, dy) * size + inside(x, dx)) * 3 + channel])
                };
                let inner: u64 = (1 - reach..reach).map(tap).sum();
                let ends = tap(-reach) + tap(reach);
                *value = ((inner * u64::from(kernel.full) + ends * u64::from(kernel.partial) + (1 << 23))
                    >> 24) as u8;
            }
        }
        pixels
    }

    #[test]
    fn sigma_two_has_pillows_radius() {
        // Pillow's `_gaussian_blur_radius(2.0, 3)` is 1.5: weights of 1/4 and two ends of 1/8.
        assert_eq!(BoxKernel::for_gaussian(2.0).radius, 1);
        assert_eq!(BoxKernel::with_radius(1.5), BoxKernel { radius: 1, full: 1 << 22, partial: 1 << 21 });
    }
}
