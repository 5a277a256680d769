//! Sends batches to the device from pinned memory, on a separate stream, while the previous step computes.

use std::iter::once;
use std::ptr::null_mut;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use cudarc::driver::DriverError;
use cudarc::driver::result as driver;
use cudarc::driver::sys::{CUdeviceptr, CUevent, CUevent_flags, CUevent_wait_flags, CUstream};
use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::error::of_driver;
use super::memory::new_values;
use super::runtime::runtime;
use super::{Runtime, StartError};
use crate::backend::kernels::{Values, normalise};
use crate::backend::{FeedKernel, Levels, Pixels, ViewBytes};

/// Memory for batches on their way: two, so that one is filled while the other is used.
pub(super) struct Slots {
    free: Mutex<Vec<Slot>>,
    returned: Condvar,
    stream: CUstream,
}

/// A batch's memory on the host and on the device, and when they may be used again.
struct Slot {
    host: *mut u8,
    device: CUdeviceptr,
    /// Bytes that there is room for.
    capacity: usize,
    /// Recorded on the copying stream once the bytes are on the device.
    copied: CUevent,
    /// Recorded on the computing stream once the tensors have been made.
    used: CUevent,
}

/// A batch on its way.
pub struct Sent {
    /// `None` only while dropping.
    slot: Option<Slot>,
    /// The views that have not been received.
    left: std::vec::IntoIter<Place>,
}

/// Where a view is in its slot.
#[derive(Clone, Copy)]
struct Place {
    /// Its first byte.
    start: usize,
    /// Its values.
    len: usize,
    form: Form,
}

/// What a view is made of.
#[derive(Clone, Copy)]
enum Form {
    /// Values.
    Values,
    /// Bytes, in planes of so many; the slot begins with their [`Levels`].
    Bytes { plane: usize },
}

/// Where views are that lie one behind the other from byte `start` on: of each, its bytes, its values and what it is made of.
fn places(start: usize, views: impl Iterator<Item = (usize, usize, Form)>) -> std::vec::IntoIter<Place> {
    let place = |start: &mut usize, (bytes, len, form): (usize, usize, Form)| {
        let place = Place { start: *start, len, form };
        *start += bytes;
        Some(place)
    };
    views.scan(start, place).collect::<Vec<_>>().into_iter()
}

/// A moment on the computing stream.
pub struct Moment(CUevent);

// SAFETY: a slot's memory and events may be used by any thread in whose context they are, one at a time.
unsafe impl Send for Slot {}

impl Slots {
    pub(super) fn new() -> Result<Self, StartError> {
        let event =
            || driver::event::create(CUevent_flags::CU_EVENT_DISABLE_TIMING).map_err(StartError::device);
        let slot = || Ok(Slot { host: null_mut(), device: 0, capacity: 0, copied: event()?, used: event()? });
        let kind = driver::stream::StreamKind::NonBlocking;
        Ok(Self {
            free: Mutex::new(vec![slot()?, slot()?]),
            returned: Condvar::new(),
            stream: driver::stream::create(kind).map_err(StartError::device)?,
        })
    }

    /// A free slot, once there is one.
    fn take(&self) -> Slot {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.returned.wait_while(free, |free| free.is_empty()).unwrap_or_else(PoisonError::into_inner);
        free.pop().expect("there is one, as waited for")
    }

    fn give_back(&self, slot: Slot) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        self.returned.notify_one();
    }
}

impl Slot {
    /// Makes room for so many bytes.
    fn reserve(&mut self, bytes: usize) -> Result<(), DriverError> {
        if bytes <= self.capacity {
            return Ok(());
        }
        // SAFETY: the old memory was allocated here and all that uses it has ended; the new is written before it is read.
        unsafe {
            if self.capacity > 0 {
                self.capacity = 0;
                driver::event::synchronize(self.copied)?;
                driver::event::synchronize(self.used)?;
                driver::free_host(self.host.cast())?;
                driver::free_sync(self.device)?;
            }
            self.host = driver::malloc_host(bytes, 0)?.cast();
            self.device = driver::malloc_sync(bytes).or_else(|error| {
                driver::free_host(self.host.cast())?;
                Err(error)
            })?;
        }
        self.capacity = bytes;
        Ok(())
    }

    /// Begins to copy these pieces, one behind the other.
    fn send(&mut self, pieces: &[&[u8]], stream: CUstream) -> Result<(), DriverError> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        self.reserve(len)?;
        // SAFETY: the host's memory is free once the last copy out of it has ended, and has room for the bytes; the device's
        // is free once the tensors of the last batch have been made, for which the stream waits.
        unsafe {
            driver::event::synchronize(self.copied)?;
            let host = std::slice::from_raw_parts_mut(self.host, len);
            let mut rest = &mut host[..];
            for piece in pieces {
                let (to, after) = rest.split_at_mut(piece.len());
                to.copy_from_slice(piece);
                rest = after;
            }
            driver::stream::wait_event(stream, self.used, CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT)?;
            driver::memcpy_htod_async(self.device, host, stream)?;
            driver::event::record(self.copied, stream)
        }
    }
}

impl Moment {
    fn record() -> Result<Self, DriverError> {
        let moment = Self(driver::event::create(CUevent_flags::CU_EVENT_DEFAULT)?);
        // SAFETY: the event was just created.
        unsafe { driver::event::record(moment.0, null_mut())? };
        Ok(moment)
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        // What fails here fails again at the next call, which says so.
        // SAFETY: the event is this value's.
        let _ = unsafe { driver::event::destroy(self.0) };
    }
}

impl Sent {
    fn slot(&self) -> &Slot {
        self.slot.as_ref().expect("it is there until it is dropped")
    }
}

impl FeedKernel for Cuda {
    type Sent = Sent;
    type Moment = Moment;
    const AHEAD: bool = true;

    fn send(views: &Pixels<'_>) -> Result<Sent, CudaError> {
        let Runtime { context, slots, .. } = runtime();
        let fail = |error| of_driver("a batch's copy to the device", error);
        // SAFETY: dfdx holds the context as long as the device.
        unsafe { driver::ctx::set_current(*context) }.map_err(fail)?;
        let (left, pieces): (_, Vec<&[u8]>) = match views {
            Pixels::Values(views) => {
                let of = |view: &&[f32]| (size_of_val(*view), view.len(), Form::Values);
                (places(0, views.iter().map(of)), views.iter().map(|view| bytes_of(view)).collect())
            }
            Pixels::Bytes { views, levels } => {
                let levels = bytes_of(levels.as_flattened());
                let of = |ViewBytes { bytes, plane }: &ViewBytes<'_>| {
                    (bytes.len(), bytes.len(), Form::Bytes { plane: *plane })
                };
                let bytes = views.iter().map(|view| view.bytes);
                (places(levels.len(), views.iter().map(of)), once(levels).chain(bytes).collect())
            }
        };
        let mut sent = Sent { slot: Some(slots.take()), left };
        sent.slot.as_mut().expect("it was just put there").send(&pieces, slots.stream).map_err(fail)?;
        Ok(sent)
    }

    fn receive<S: Shape>(&self, sent: &mut Sent, shape: S) -> Result<Tensor<S, f32, Self>, CudaError> {
        let Place { start, len, form } = sent.left.next().expect("a view is left");
        let mut tensor = self.try_zeros_like(&shape)?;
        let to = new_values(&mut tensor);
        assert_eq!(to.len(), len, "a view has as many values");
        let fail = |error| of_driver("a batch's copy on the device", error);
        let slot = sent.slot();
        let from = slot.device + start as u64;
        // SAFETY: the event lives as long as the slot.
        unsafe {
            driver::stream::wait_event(null_mut(), slot.copied, CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT)
        }
        .map_err(fail)?;
        match form {
            Form::Values => {
                // SAFETY: the tensor and this part of the slot are as large, and the stream waits until the latter is filled.
                unsafe { driver::memcpy_dtod_async(to.address(), from, size_of::<f32>() * len, null_mut()) }
                    .map_err(fail)?;
            }
            Form::Bytes { plane } => {
                // SAFETY: the levels are at the slot's beginning and the views behind them; nothing changes them before the
                // stream has used them.
                let (levels, pixels) = unsafe {
                    let levels = size_of::<Levels>() / size_of::<f32>();
                    (Values::from_raw(slot.device, levels), Values::from_raw(from, len))
                };
                normalise::normalise(runtime(), plane, levels, pixels, to)?;
            }
        }
        Ok(tensor)
    }

    fn done() -> Result<Moment, CudaError> {
        Moment::record().map_err(|error| of_driver("the clock", error))
    }

    fn arrived(sent: &Sent) -> Result<Moment, CudaError> {
        let (copied, wait) = (sent.slot().copied, CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT);
        // SAFETY: the event lives as long as the slot.
        let waits = unsafe { driver::stream::wait_event(null_mut(), copied, wait) };
        waits.and_then(|()| Moment::record()).map_err(|error| of_driver("the clock", error))
    }

    fn between(from: &Moment, to: &Moment) -> Result<Duration, CudaError> {
        // SAFETY: both events have been recorded.
        let ms = unsafe { driver::event::elapsed(from.0, to.0) };
        let ms = ms.map_err(|error| of_driver("the clock", error))?;
        Ok(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3))
    }
}

/// The same memory as bytes.
fn bytes_of(values: &[f32]) -> &[u8] {
    // SAFETY: they are as long, and any byte is a byte.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            // What fails here fails again at the next call, which says so.
            // SAFETY: the event lives as long as the slot.
            let _ = unsafe { driver::event::record(slot.used, null_mut()) };
            runtime().slots.give_back(slot);
        }
    }
}
