//! Converts bytes of [`Pixels`](crate::backend::Pixels) to values on the device.

use super::{Queue, Values, ValuesMut, count, grid_of, launch};
use crate::backend::Levels;

/// `values[i] = levels[channel of i][pixels[i]]`, for images of three planes of `plane` pixels.
///
/// # Panics
/// If pixels and values differ in number, or are no whole images.
pub(crate) fn normalise<Q: Queue>(
    queue: &Q,
    plane: usize,
    levels: Values<'_>,
    pixels: Values<'_, u8>,
    mut values: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let n = pixels.len();
    assert_eq!(values.len(), n, "a value for each pixel");
    assert!(n.is_multiple_of(3 * plane), "images have three planes");
    assert_eq!(levels.len(), size_of::<Levels>() / size_of::<f32>(), "256 levels for each channel");
    // SAFETY: there are `n` pixels and values, and a level for each byte of each of three channels.
    unsafe { launch!(queue, "normalise", grid_of(n), [count(n), count(plane), levels, pixels, &mut values]) }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::kernels::host::{noise, on_host};
    use crate::backend::{FeedKernel, Pixels, ViewBytes};

    #[test]
    fn agrees_with_the_cpus() {
        on_host(|host| {
            for (batch, plane) in [(1, 1), (2, 9), (5, 32 * 32)] {
                let levels = noise(1, 3 * 256);
                let of_channel = |channel| std::array::from_fn(|byte| levels[256 * channel + byte]);
                let table: Levels = std::array::from_fn(of_channel);
                let pixels: Vec<u8> = (0..3 * batch * plane).map(|i| (i * i % 257) as u8).collect();

                let mut values = vec![0.0; pixels.len()];
                normalise(host, plane, levels[..].into(), pixels[..].into(), (&mut values[..]).into())
                    .unwrap();

                let sent = Pixels::Bytes { views: vec![ViewBytes::new(&pixels, plane)], levels: &table };
                let expected =
                    Cpu::default().receive(&mut Cpu::send(&sent).unwrap(), (pixels.len(),)).unwrap();
                assert_eq!(values, expected.as_vec());
            }
        });
    }
}
