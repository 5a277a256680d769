//! Separate gradients of the parts of a batch: see [`SumOrder::Fixed`](crate::collective::SumOrder::Fixed).

/// Adds the gradient of each of `parts` equal parts of the batch, of `len` values, to its own range of `gradient`, which may be
/// empty before. `inputs` are values of the batch's images, one image's after the other's.
///
/// # Panics
/// If the batch cannot be divided so.
pub(super) fn by_parts<const N: usize>(
    parts: usize,
    inputs: [&[f32]; N],
    gradient: &mut Vec<f32>,
    len: usize,
    add: impl Fn([&[f32]; N], &mut Vec<f32>),
) {
    if parts == 1 {
        return add(inputs, gradient);
    }
    gradient.resize(parts * len, 0.0);
    let mut own = Vec::with_capacity(len);
    for part in 0..parts {
        own.clear();
        own.extend_from_slice(&gradient[part * len..][..len]);
        add(inputs.map(|values| part_of(values, part, parts)), &mut own);
        gradient[part * len..][..len].copy_from_slice(&own);
    }
}

/// # Panics
/// If the values cannot be divided so.
pub(super) fn part_of<T>(values: &[T], part: usize, parts: usize) -> &[T] {
    assert!(values.len().is_multiple_of(parts), "{} values in {parts} equal parts", values.len());
    let len = values.len() / parts;
    &values[part * len..][..len]
}
