//! How many classes labels have.

use std::sync::Arc;

use simsiam_pipeline::ShardSet;

use crate::error::InputError;

/// More are hardly the numbers of classes.
const MAX_CLASSES: usize = 1 << 16;

/// One more than the largest label, or as many as have names.
///
/// # Errors
/// If that is more than 65,536.
pub fn class_count(shards: &[&Arc<ShardSet>]) -> Result<usize, InputError> {
    let labels = shards.iter().flat_map(|shards| (0..shards.len()).filter_map(|at| shards.label(at)));
    let largest = labels.max().unwrap_or(0) as usize;
    if largest >= MAX_CLASSES {
        return Err(InputError::new(format!(
            "labels go up to {largest}: more than {MAX_CLASSES} classes cannot be evaluated"
        )));
    }
    let named = shards.iter().map(|shards| shards.class_names().map_or(0, <[String]>::len));
    Ok(named.fold(largest + 1, usize::max))
}
