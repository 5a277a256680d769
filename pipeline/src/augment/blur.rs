//! Gaussian blur, byte for byte as Pillow's `ImageFilter.GaussianBlur`.
//!
//! Pillow approximates the Gaussian by three passes of a box blur whose radius has a fraction, first along the rows,
//! then along the columns, on bytes (BoxBlur.c, after Gwosdek et al. 2011). Edges are replicated.

/// Passes in each direction.
const PASSES: usize = 3;

/// Blurs square views, reusing its memory.
#[derive(Debug, Default)]
pub(super) struct Blur {
    line: Vec<u8>,
    padded: Vec<u8>,
    sums: Vec<u32>,
    other: Vec<u8>,
}

impl Blur {
    /// Blurs rows of `width` RGB pixels with standard deviation `sigma`.
    pub(super) fn gaussian(&mut self, pixels: &mut Vec<u8>, width: usize, sigma: f64) {
        let kernel = BoxKernel::for_gaussian(sigma as f32);
        if kernel.is_identity() {
            return;
        }
        self.sums.resize(width * 3, 0);
        self.line.resize(width * 3, 0);
        for row in pixels.chunks_exact_mut(width * 3) {
            for _ in 0..PASSES {
                self.blur_row(row, &kernel);
            }
        }
        self.other.resize(pixels.len(), 0);
        for _ in 0..PASSES {
            self.blur_columns(pixels, width, &kernel);
            std::mem::swap(pixels, &mut self.other);
        }
    }

    fn blur_row(&mut self, row: &mut [u8], kernel: &BoxKernel) {
        let reach = kernel.radius + 1;
        let (first, last) =
            ([row[0], row[1], row[2]], [row[row.len() - 3], row[row.len() - 2], row[row.len() - 1]]);
        self.padded.clear();
        (0..reach).for_each(|_| self.padded.extend_from_slice(&first));
        self.padded.extend_from_slice(row);
        (0..reach).for_each(|_| self.padded.extend_from_slice(&last));
        // Tap number `reach` is the pixel itself.
        let tap = |number: usize| &self.padded[number * 3..number * 3 + row.len()];
        kernel.apply(tap, &mut self.sums, &mut self.line);
        row.copy_from_slice(&self.line);
    }

    fn blur_columns(&mut self, pixels: &[u8], width: usize, kernel: &BoxKernel) {
        let stride = width * 3;
        let height = pixels.len() / stride;
        let reach = kernel.radius + 1;
        for (y, out) in self.other.chunks_exact_mut(stride).enumerate() {
            let tap = |number: usize| {
                let row = (y + number).saturating_sub(reach).min(height - 1);
                &pixels[row * stride..(row + 1) * stride]
            };
            kernel.apply(tap, &mut self.sums, out);
        }
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

    /// Blurs one line. `tap(n)` is the line shifted by `n - radius - 1` along the direction of the blur.
    fn apply<'a>(&self, tap: impl Fn(usize) -> &'a [u8], sums: &mut [u32], out: &mut [u8]) {
        let (near, far) = (tap(0), tap(2 * self.radius + 2));
        match self.radius {
            // The only radii for standard deviations up to about 2.4: the sum stays in registers.
            0 => self.weigh([tap(1)], [near, far], out),
            1 => self.weigh([tap(1), tap(2), tap(3)], [near, far], out),
            _ => {
                sums.fill(0);
                for number in 1..2 * self.radius + 2 {
                    sums.iter_mut().zip(tap(number)).for_each(|(sum, &value)| *sum += u32::from(value));
                }
                for (i, out) in out.iter_mut().enumerate() {
                    *out = self.mean(sums[i], u32::from(near[i]) + u32::from(far[i]));
                }
            }
        }
    }

    fn weigh<const N: usize>(&self, inner: [&[u8]; N], ends: [&[u8]; 2], out: &mut [u8]) {
        let inner = inner.map(|tap| &tap[..out.len()]);
        let ends = ends.map(|tap| &tap[..out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            let sum = inner.iter().map(|tap| u32::from(tap[i])).sum();
            *out = self.mean(sum, u32::from(ends[0][i]) + u32::from(ends[1][i]));
        }
    }

    /// At most 255 * 2^24 + 2^23, which fits.
    fn mean(&self, sum: u32, ends: u32) -> u8 {
        ((sum * self.full + ends * self.partial + (1 << 23)) >> 24) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Blur {
        pub(in crate::augment) fn capacities(&self) -> [usize; 4] {
            [self.line.capacity(), self.padded.capacity(), self.sums.capacity(), self.other.capacity()]
        }
    }

    #[test]
    fn a_constant_image_stays_constant() {
        for sigma in [0.0, 0.1, 0.5, 1.3, 2.0, 3.7, 40.0] {
            let mut pixels = vec![200; 5 * 5 * 3];
            Blur::default().gaussian(&mut pixels, 5, sigma);
            assert!(pixels.iter().all(|&value| value.abs_diff(200) <= 1), "sigma {sigma}: {pixels:?}");
        }
    }

    #[test]
    fn both_kernels_agree() {
        let line: Vec<u8> = (0..60).map(|i| (i * i * 7 % 256) as u8).collect();
        for sigma in [0.3, 1.0, 1.9] {
            let kernel = BoxKernel::for_gaussian(sigma);
            let n = line.len() - 2 * (kernel.radius + 1);
            let mut fast = vec![0; n];
            kernel.apply(|number| &line[number..number + n], &mut vec![0; n], &mut fast);
            let slow: Vec<u8> = (0..n)
                .map(|i| {
                    let sum = line[i + 1..i + 2 * kernel.radius + 2].iter().map(|&v| u32::from(v)).sum();
                    kernel.mean(sum, u32::from(line[i]) + u32::from(line[i + 2 * kernel.radius + 2]))
                })
                .collect();
            assert_eq!(fast, slow, "sigma {sigma}");
        }
    }

    #[test]
    fn sigma_two_has_pillows_radius() {
        // Pillow's `_gaussian_blur_radius(2.0, 3)` is 1.5: weights of 1/4 and two ends of 1/8.
        assert_eq!(BoxKernel::for_gaussian(2.0).radius, 1);
        assert_eq!(BoxKernel::with_radius(1.5), BoxKernel { radius: 1, full: 1 << 22, partial: 1 << 21 });
    }
}
