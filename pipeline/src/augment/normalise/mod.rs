//! Bytes become normalised floats, `ToTensor` and `Normalize` of torchvision in single precision.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "only SIMD kernels compute; others look up")
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::cpu::Cpu;

/// Planes of so many pixels bypass the cache: a batch of them is far larger, and nobody reads it back soon. Writing them
/// through the cache would first read what is there.
#[cfg(target_arch = "x86_64")]
const STREAMED: usize = 1 << 14;

/// Normalises the bytes of one view.
#[derive(Debug)]
pub(super) struct Normaliser {
    cpu: Cpu,
    channels: [Channel; 3],
}

/// The normalised value of each byte of a channel, and constants that compute them.
#[derive(Debug)]
struct Channel {
    table: [f32; 256],
    mean: f32,
    inverse_std: Inverse,
    /// Whether the SIMD kernels' arithmetic gives every value of the table to the last bit.
    computable: bool,
}

/// The reciprocal of a number as the sum of two.
///
/// `fma(x, high, x * low)` is x divided by the number, rounded once, unless x falls within 2^-46 of the middle between two
/// floats.
#[derive(Debug, Clone, Copy)]
struct Inverse {
    high: f32,
    low: f32,
}

const INVERSE_255: Inverse = Inverse::of(255.0);

impl Inverse {
    const fn of(number: f32) -> Self {
        let inverse = 1.0 / number as f64;
        let high = inverse as f32;
        Self { high, low: (inverse - high as f64) as f32 }
    }
}

/// The normalised value of each byte of each channel.
pub(super) fn levels(mean: [f32; 3], std: [f32; 3]) -> [[f32; 256]; 3] {
    let level = |channel: usize, byte: usize| (byte as f32 / 255.0 - mean[channel]) / std[channel];
    std::array::from_fn(|channel| std::array::from_fn(|byte| level(channel, byte)))
}

impl Normaliser {
    pub(super) fn new(cpu: Cpu, mean: [f32; 3], std: [f32; 3]) -> Self {
        let levels = levels(mean, std);
        let channel = |c: usize| Channel::new(cpu, levels[c], mean[c], std[c]);
        Self { cpu, channels: std::array::from_fn(channel) }
    }

    /// Normalises planes of bytes.
    pub(super) fn planes(&self, planes: &[u8], out: &mut [f32]) {
        assert_eq!(out.len(), planes.len(), "a view is 3 x size x size");
        let pixels = planes.len() / 3;
        for ((channel, plane), out) in
            planes.chunks_exact(pixels).enumerate().zip(out.chunks_exact_mut(pixels))
        {
            self.plane(channel, plane, out);
        }
    }

    /// Normalises bytes of one channel.
    pub(super) fn plane(&self, channel: usize, bytes: &[u8], out: &mut [f32]) {
        self.channels[channel].normalise(self.cpu, bytes, out);
    }
}

impl Channel {
    fn new(cpu: Cpu, table: [f32; 256], mean: f32, std: f32) -> Self {
        let mut channel = Self { table, mean, inverse_std: Inverse::of(std), computable: true };
        let mut computed = [0.0; 256];
        channel.normalise(cpu, &std::array::from_fn::<u8, 256, _>(|value| value as u8), &mut computed);
        channel.computable = computed.map(f32::to_bits) == table.map(f32::to_bits);
        channel
    }

    fn normalise(&self, cpu: Cpu, bytes: &[u8], out: &mut [f32]) {
        match cpu {
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx2(avx2) if self.computable => avx2::normalise(avx2, self, bytes, out),
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx512(avx512) if self.computable => avx512::normalise(avx512, self, bytes, out),
            _ => self.look_up(bytes, out),
        }
    }

    fn look_up(&self, bytes: &[u8], out: &mut [f32]) {
        for (out, &byte) in out.iter_mut().zip(bytes) {
            *out = self.table[usize::from(byte)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_normalised() {
        let normaliser = Normaliser::new(Cpu::best(Default::default()), [0.5, 0.0, 0.25], [0.5, 1.0, 0.25]);
        let mut out = [0.0; 6];
        normaliser.planes(&[255, 0, 255, 0, 255, 0], &mut out);
        assert_eq!(out, [1.0, -1.0, 1.0, 0.0, 3.0, -1.0]);
    }

    #[test]
    fn every_cpu_gives_the_tables_values() {
        let bytes: Vec<u8> = (0..600).map(|i| (i * 7) as u8).collect();
        let presets = [
            ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]),
            ([0.0, -1e30, 0.5], [1.0, 1e-38, f32::MAX]),
        ];
        for (mean, std) in presets {
            for cpu in Cpu::all() {
                let normaliser = Normaliser::new(cpu, mean, std);
                for pixels in 1..=64 {
                    let mut out = vec![0.0; 3 * pixels];
                    normaliser.planes(&bytes[..3 * pixels], &mut out);
                    for (i, &value) in out.iter().enumerate() {
                        let table = &normaliser.channels[i / pixels].table;
                        assert_eq!(value.to_bits(), table[usize::from(bytes[i])].to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn the_presets_need_no_table() {
        for recipe in [crate::augment::Recipe::imagenet(), crate::augment::Recipe::cifar10()] {
            for cpu in Cpu::all() {
                assert!(
                    Normaliser::new(cpu, recipe.mean, recipe.std).channels.iter().all(|it| it.computable)
                );
            }
        }
    }
}
