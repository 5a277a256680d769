//! AMX on processors that never have it.

use super::{Sums, Tiles};

/// There is no value of it.
#[derive(Clone, Copy)]
pub(in super::super::super) enum Amx {}

impl Amx {
    /// Always `None`.
    pub(in super::super::super) fn detect() -> Option<Self> {
        None
    }
}

impl Tiles for Amx {
    fn ready<R>(self, _: impl FnOnce() -> R) -> R {
        match self {}
    }

    unsafe fn sum<const M: usize, const N: usize>(
        self,
        _: [*const u16; M],
        _: usize,
        _: &[u32],
        _: [*const u32; N],
        _: &mut Sums,
    ) {
        match self {}
    }
}
