//! The memory of one batch, divided among the workers that fill it.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use super::aligned::AlignedBytes;
use super::shape::BufferShape;
use crate::augment::{Dtype, PixelsMut};

/// Pixels and records of up to `capacity` images.
pub(crate) struct BatchBuffer {
    shape: BufferShape,
    len: usize,
    /// One array a group: view after view, each of `capacity` images.
    groups: Vec<AlignedBytes>,
    records: Vec<Record>,
}

/// What is known of the image in a slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    pub(crate) sample: u64,
    pub(crate) label: Option<u32>,
    /// False where no usable image was found for the slot.
    pub(crate) filled: bool,
}

impl BatchBuffer {
    pub(crate) fn new(shape: BufferShape) -> Self {
        Self {
            len: shape.capacity,
            groups: shape.groups.iter().map(|group| AlignedBytes::new(group.bytes())).collect(),
            records: vec![Record::default(); shape.capacity],
            shape,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn shape(&self) -> &BufferShape {
        &self.shape
    }

    pub(crate) fn bytes(&self, view: usize) -> &[u8] {
        let place = self.shape.views[view];
        &self.groups[place.group].as_slice()[place.start..][..self.len * place.image_bytes]
    }

    pub(crate) fn bytes_mut(&mut self, view: usize) -> &mut [u8] {
        let place = self.shape.views[view];
        &mut self.groups[place.group].as_mut_slice()[place.start..][..self.len * place.image_bytes]
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records[..self.len]
    }

    /// Moves the filled slots together, in order.
    fn close_gaps(&mut self) {
        let mut kept = 0;
        for slot in 0..self.len {
            if !self.records[slot].filled {
                continue;
            }
            if kept != slot {
                self.records[kept] = self.records[slot];
                for place in self.shape.views.iter() {
                    let (view, image) = (&mut self.groups[place.group], place.image_bytes);
                    let view = &mut view.as_mut_slice()[place.start..];
                    view.copy_within(slot * image..(slot + 1) * image, kept * image);
                }
            }
            kept += 1;
        }
        self.len = kept;
    }
}

/// A buffer that is being filled: owned jointly by the [`SlotWriter`]s that [`Filling::split`] hands out.
pub(crate) struct Filling {
    buffer: UnsafeCell<BatchBuffer>,
    shape: BufferShape,
    /// Where each view begins.
    views: Vec<NonNull<u8>>,
    records: NonNull<Record>,
}

// SAFETY: the pointers lead into `buffer`, which travels with them, and bytes and Records are Send.
unsafe impl Send for Filling {}
// SAFETY: the cell is opened only by `Filling::finish`, which owns the last reference; until then the buffer is
// reached through the pointers alone, by writers whose slots are disjoint.
unsafe impl Sync for Filling {}

impl Filling {
    /// Splits the first `len` slots of `buffer` into writers of at most `chunk` slots each.
    pub(crate) fn split(
        mut buffer: BatchBuffer,
        len: usize,
        chunk: usize,
    ) -> (Arc<Filling>, Vec<SlotWriter>) {
        assert!(len <= buffer.records.len(), "a batch fits its buffer");
        buffer.len = len;
        buffer.records[..len].fill(Record::default());
        let shape = buffer.shape.clone();
        let mut views = Vec::with_capacity(shape.views());
        for (bytes, group) in buffer.groups.iter_mut().zip(shape.groups.iter()) {
            views.extend(bytes.as_mut_slice().chunks_mut(group.view_bytes).map(pointer));
        }
        let records = pointer(&mut buffer.records);
        let filling = Arc::new(Filling { buffer: UnsafeCell::new(buffer), shape, views, records });
        let chunk = chunk.max(1);
        let writers = (0..len)
            .step_by(chunk)
            .map(|first| SlotWriter { slots: first..(first + chunk).min(len), filling: filling.clone() });
        let writers = writers.collect();
        (filling, writers)
    }

    /// The buffer, once every writer is dropped; slots that stayed empty are taken out.
    pub(crate) fn finish(self: Arc<Self>) -> Option<BatchBuffer> {
        let mut buffer = Arc::into_inner(self)?.buffer.into_inner();
        buffer.close_gaps();
        Some(buffer)
    }
}

/// Exclusive access to a run of slots of a batch that is being filled.
pub(crate) struct SlotWriter {
    slots: Range<usize>,
    filling: Arc<Filling>,
}

impl SlotWriter {
    /// The slots of the batch that this writer fills.
    pub(crate) fn slots(&self) -> Range<usize> {
        self.slots.clone()
    }

    /// Side of a view, in pixels.
    pub(crate) fn size(&self, view: usize) -> usize {
        self.filling.shape.size(view)
    }

    /// The numbers of one view of one slot: `3 x size x size`, or `size x size x 3`.
    pub(crate) fn view_mut(&mut self, slot: usize, view: usize) -> PixelsMut<'_> {
        assert!(self.slots.contains(&slot), "a writer fills its own slots");
        let image_bytes = self.filling.shape.views[view].image_bytes;
        // SAFETY: the slot lies in this writer's run, runs are disjoint and inside the view's part of its group's allocation, which
        // `filling` keeps alive and nothing else touches until the writer is gone; `&mut self` makes the slice unique.
        let bytes = unsafe {
            let start = self.filling.views[view].as_ptr().add(slot * image_bytes);
            std::slice::from_raw_parts_mut(start, image_bytes)
        };
        match self.filling.shape.format.dtype {
            Dtype::U8 => PixelsMut::U8(bytes),
            Dtype::F16 => PixelsMut::F16(bytemuck::cast_slice_mut(bytes)),
            Dtype::F32 => PixelsMut::F32(bytemuck::cast_slice_mut(bytes)),
        }
    }

    /// Notes which image was put into a slot.
    pub(crate) fn fill(&mut self, slot: usize, sample: u64, label: Option<u32>) {
        assert!(self.slots.contains(&slot), "a writer fills its own slots");
        // SAFETY: as in `view_mut`, for the records' allocation.
        unsafe { self.filling.records.as_ptr().add(slot).write(Record { sample, label, filled: true }) };
    }
}

fn pointer<T>(items: &mut [T]) -> NonNull<T> {
    NonNull::new(items.as_mut_ptr()).expect("a slice's pointer is not null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{Format, ViewGroup};

    fn buffer(capacity: usize, count: usize, size: usize) -> BatchBuffer {
        of_groups(capacity, &[ViewGroup { count, size }])
    }

    fn of_groups(capacity: usize, groups: &[ViewGroup]) -> BatchBuffer {
        BatchBuffer::new(BufferShape::new(capacity, groups, Format::default()))
    }

    fn fill(pixels: PixelsMut<'_>, value: f32) {
        let PixelsMut::F32(values) = pixels else { panic!("a buffer of f32") };
        values.fill(value);
    }

    fn view(buffer: &BatchBuffer, view: usize) -> &[f32] {
        bytemuck::cast_slice(buffer.bytes(view))
    }

    #[test]
    fn writers_fill_disjoint_slots_in_parallel() {
        let (filling, writers) = Filling::split(buffer(10, 2, 2), 9, 4);
        assert_eq!(writers.iter().map(|w| w.slots()).collect::<Vec<_>>(), [0..4, 4..8, 8..9]);
        std::thread::scope(|scope| {
            for mut writer in writers {
                scope.spawn(move || {
                    for slot in writer.slots() {
                        for view in 0..2 {
                            fill(writer.view_mut(slot, view), (10 * slot + view) as f32);
                        }
                        writer.fill(slot, slot as u64, Some(7));
                    }
                });
            }
        });
        let buffer = filling.finish().unwrap();
        assert_eq!(buffer.len(), 9);
        for slot in 0..9 {
            assert!(
                view(&buffer, 1)[slot * 12..(slot + 1) * 12].iter().all(|&x| x == (10 * slot + 1) as f32)
            );
        }
    }

    #[test]
    fn an_unfinished_batch_cannot_be_read() {
        let (filling, writers) = Filling::split(buffer(2, 1, 1), 2, 1);
        assert!(filling.clone().finish().is_none());
        drop(writers);
        assert!(filling.finish().is_some());
    }

    #[test]
    fn gaps_are_closed_in_order() {
        let (filling, writers) = Filling::split(buffer(4, 1, 1), 4, 4);
        for mut writer in writers {
            for slot in [1, 3] {
                fill(writer.view_mut(slot, 0), slot as f32);
                writer.fill(slot, slot as u64, None);
            }
        }
        let buffer = filling.finish().unwrap();
        assert_eq!(buffer.records().iter().map(|r| r.sample).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(view(&buffer, 0), [1.0, 1.0, 1.0, 3.0, 3.0, 3.0]);
    }

    #[test]
    fn a_group_has_one_array_and_each_view_its_own_aligned_part_of_it() {
        let groups = [ViewGroup { count: 2, size: 3 }, ViewGroup { count: 3, size: 1 }];
        let (filling, writers) = Filling::split(of_groups(3, &groups), 3, 2);
        for mut writer in writers {
            for slot in writer.slots().filter(|slot| *slot != 0) {
                (0..5).for_each(|number| fill(writer.view_mut(slot, number), (10 * slot + number) as f32));
                writer.fill(slot, slot as u64, None);
            }
        }
        let buffer = filling.finish().unwrap();
        assert_eq!(buffer.groups.len(), 2);
        for (number, values) in [27, 27, 3, 3, 3].into_iter().enumerate() {
            let expected: Vec<f32> =
                [1, 2].into_iter().flat_map(|slot| vec![(10 * slot + number) as f32; values]).collect();
            assert_eq!(view(&buffer, number), expected, "view {number}");
            assert_eq!(buffer.bytes(number).as_ptr().addr() % 64, 0);
        }
    }
}
