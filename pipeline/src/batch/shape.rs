//! The dimensions that all buffers of a pipeline share.

use std::sync::Arc;

use super::aligned::ALIGNMENT;
use crate::augment::{Format, ViewGroup};

/// How many images a buffer holds, of which views, and where in its memory these are. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BufferShape {
    /// Images that fit.
    pub(crate) capacity: usize,
    /// What views are written as.
    pub(crate) format: Format,
    /// The groups' arrays.
    pub(super) groups: Arc<[GroupArray]>,
    /// The views of an image, in their order.
    pub(super) views: Arc<[ViewPlace]>,
}

/// The memory of a group's views.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupArray {
    /// How many there are.
    count: usize,
    /// Bytes of each, a multiple of [`ALIGNMENT`].
    pub(super) view_bytes: usize,
}

/// Where a view of all images is: in its group's array, one image after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct ViewPlace {
    /// The group's number.
    pub(super) group: usize,
    /// The first byte in the group's array.
    pub(super) start: usize,
    /// Side of a view, in pixels.
    pub(super) size: usize,
    /// One image's, in bytes.
    pub(super) image_bytes: usize,
}

impl BufferShape {
    pub(crate) fn new(capacity: usize, groups: &[ViewGroup], format: Format) -> Self {
        let (mut arrays, mut views) = (Vec::new(), Vec::new());
        for (group, &ViewGroup { count, size }) in groups.iter().enumerate() {
            let image_bytes = 3 * size * size * format.dtype.bytes();
            let view_bytes = (capacity * image_bytes).next_multiple_of(ALIGNMENT);
            views.extend((0..count).map(|view| {
                let start = view * view_bytes;
                ViewPlace { group, start, size, image_bytes }
            }));
            arrays.push(GroupArray { count, view_bytes });
        }
        Self { capacity, format, groups: arrays.into(), views: views.into() }
    }

    /// Views of each image, of all groups.
    pub(crate) fn views(&self) -> usize {
        self.views.len()
    }

    /// Side of a view, in pixels.
    pub(crate) fn size(&self, view: usize) -> usize {
        self.views[view].size
    }
}

impl GroupArray {
    /// Bytes of all views.
    pub(super) fn bytes(&self) -> usize {
        self.count * self.view_bytes
    }
}
