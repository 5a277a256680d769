//! Bytes become normalised floats, `ToTensor` and `Normalize` of torchvision in single precision.

/// The normalised value of each byte, for each channel.
#[derive(Debug)]
pub(super) struct Normaliser {
    tables: [[f32; 256]; 3],
}

impl Normaliser {
    pub(super) fn new(mean: [f32; 3], std: [f32; 3]) -> Self {
        let tables = std::array::from_fn(|channel| {
            std::array::from_fn(|value| (value as f32 / 255.0 - mean[channel]) / std[channel])
        });
        Self { tables }
    }

    /// Writes rows of `width` RGB pixels, mirrored if `flip`, as three planes.
    pub(super) fn planes(&self, pixels: &[u8], width: usize, flip: bool, out: &mut [f32]) {
        assert_eq!(out.len(), pixels.len(), "a view is 3 x size x size");
        for (channel, (plane, table)) in out.chunks_exact_mut(pixels.len() / 3).zip(&self.tables).enumerate()
        {
            let rows = pixels.chunks_exact(width * 3).map(|row| row.as_chunks::<3>().0);
            for (row, out) in rows.zip(plane.chunks_exact_mut(width)) {
                let value = |pixel: &[u8; 3]| table[usize::from(pixel[channel])];
                if flip {
                    out.iter_mut().zip(row.iter().rev()).for_each(|(out, pixel)| *out = value(pixel));
                } else {
                    out.iter_mut().zip(row).for_each(|(out, pixel)| *out = value(pixel));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_normalised_and_mirrored() {
        let normaliser = Normaliser::new([0.5, 0.0, 0.25], [0.5, 1.0, 0.25]);
        let pixels = [255, 255, 255, 0, 0, 0];
        let mut out = [0.0; 6];
        normaliser.planes(&pixels, 2, false, &mut out);
        assert_eq!(out, [1.0, -1.0, 1.0, 0.0, 3.0, -1.0]);
        normaliser.planes(&pixels, 2, true, &mut out);
        assert_eq!(out, [-1.0, 1.0, 0.0, 1.0, -1.0, 3.0]);
    }
}
