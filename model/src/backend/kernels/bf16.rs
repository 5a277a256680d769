//! Converts images, filters and matrices between single precision and bf16.

use super::{Layout, Queue, Values, ValuesMut, grid_of, launch};
use crate::backend::Format;

/// What becomes of the values that were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Overwrite,
    Add,
}

/// Writes or adds values of one format, which lie as `layout` says, in the other.
pub(crate) fn convert<Q: Queue>(
    queue: &Q,
    layout: &Layout,
    from: Values<'_>,
    mut to: ValuesMut<'_>,
    store: Store,
) -> Result<(), Q::Err> {
    let (kernel, other) = match layout.format {
        Format::F32 => ("bf16_of_f32", Format::Bf16),
        Format::Bf16 => ("f32_of_bf16", Format::F32),
    };
    let fits = from.len() == layout.len() && to.len() == layout.in_format(other).len();
    assert!(fits, "{} words to {}: {layout:?}", from.len(), to.len());
    let [batch, channels, plane] = layout.counts();
    let add = u32::from(store == Store::Add);
    // SAFETY: both have the words that the layout says.
    unsafe { launch!(queue, kernel, grid_of(to.len()), [batch, channels, plane, add, from, &mut to]) }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::FormatKernel;
    use crate::backend::kernels::host::{noise, on_host};

    #[test]
    fn agrees_with_the_cpus() {
        on_host(|host| {
            for (batch, channels, plane) in [(1, 2, 1), (2, 3, 5), (3, 4, 300), (1, 7001, 1)] {
                let of_single = Layout { format: Format::F32, batch, channels, plane };
                let of_half = of_single.in_format(Format::Bf16);
                let convert = |from: &Layout, values: &[f32], to: &mut [f32], store| {
                    convert(host, from, values.into(), to.into(), store).unwrap();
                };
                let dev = Cpu::default();
                let on_cpu = |from: &Layout, to: Format, values: &[f32]| {
                    let shape = |format: Format| (batch, format.words(channels), plane);
                    let x = dev.tensor_from_vec(values.to_vec(), shape(from.format));
                    dev.convert(channels, &x, shape(to)).unwrap().as_vec()
                };
                let [single, before] = [1, 2].map(|seed| noise(seed, of_single.len()));

                let mut half = vec![0.0; of_half.len()];
                convert(&of_single, &single, &mut half, Store::Overwrite);
                assert_eq!(bits(&half), bits(&on_cpu(&of_single, Format::Bf16, &single)));
                let rounded = on_cpu(&of_half, Format::F32, &half);
                let mut found = before.clone();
                convert(&of_half, &half, &mut found, Store::Overwrite);
                assert_eq!(found, rounded);

                let sums: Vec<f32> = before.iter().zip(&rounded).map(|(a, b)| a + b).collect();
                found.clone_from(&before);
                convert(&of_half, &half, &mut found, Store::Add);
                assert_eq!(found, sums);
                convert(&of_single, &before, &mut half, Store::Add);
                assert_eq!(bits(&half), bits(&on_cpu(&of_single, Format::Bf16, &sums)));
            }
        });
    }

    #[test]
    fn rounding_is_to_the_nearest_and_keeps_what_is_no_number() {
        on_host(|host| {
            let (inf, nan) = (f32::INFINITY, f32::NAN);
            let single =
                [1.0, 1.003_906_3, 1.011_718_8, -3.4e38, inf, nan, f32::from_bits(0x7f80_0001), 1e-45];
            let layout = Layout::matrix(single.len());
            let mut half = vec![0.0; layout.in_format(Format::Bf16).len()];
            convert(host, &layout, single[..].into(), (&mut half[..]).into(), Store::Overwrite).unwrap();
            let found: Vec<u16> =
                bits(&half).iter().flat_map(|word| [*word as u16, (word >> 16) as u16]).collect();
            assert_eq!(found, single.map(|value| half::bf16::from_f32(value).to_bits()));
        });
    }

    fn bits(words: &[f32]) -> Vec<u32> {
        words.iter().map(|word| word.to_bits()).collect()
    }
}
