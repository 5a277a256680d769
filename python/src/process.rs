//! What a fork must not touch.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::process;

/// A value with threads or locks behind it.
///
/// A forked child has a copy of the locks, perhaps held, but not the threads. There the value is leaked rather than
/// dropped: dropping it would wait for ever.
pub(crate) struct OfProcess<T> {
    value: ManuallyDrop<T>,
    process: u32,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), process: process::id() }
    }

    /// Whether this is a copy in a forked child.
    pub(crate) fn is_foreign(&self) -> bool {
        self.process != process::id()
    }

    /// Makes the value this process's: nothing of it belongs to another one.
    pub(crate) fn adopt(&mut self) {
        self.process = process::id();
    }
}

impl<T> Deref for OfProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for OfProcess<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if !self.is_foreign() {
            // SAFETY: this is the only place that drops the value, and the last that sees it.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}
