//! What a fork must not touch.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::process;

use pyo3::Python;

/// A value with threads or locks behind it.
///
/// A forked child has a copy of the locks, perhaps held, but not the threads. There the value is leaked rather than
/// dropped: dropping it would wait for ever.
pub(crate) struct OfProcess<T: Send> {
    value: ManuallyDrop<T>,
    process: u32,
}

impl<T: Send> OfProcess<T> {
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

impl<T: Send> Deref for OfProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Send> DerefMut for OfProcess<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Send> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.is_foreign() {
            return;
        }
        // SAFETY: this is the only place that drops the value, and the last that sees it.
        let drop = || unsafe { ManuallyDrop::drop(&mut self.value) };
        // Its threads may wait for the interpreter, and are waited for.
        Python::try_attach(|py| py.detach(drop));
    }
}
