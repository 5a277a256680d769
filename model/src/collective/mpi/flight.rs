//! Operations that go on while the rank computes. The pulse asks for them now and then, because MPI may only go on with
//! them while it is called.

use std::fmt;
use std::sync::Arc;

use mpi_sys as ffi;

use super::{Engine, Mpi, Shared};
use crate::collective::Exchange;

/// An operation under way. MPI reads and writes the values until all requests are done.
pub(super) struct Flight {
    number: u64,
    requests: Vec<ffi::MPI_Request>,
    own: Vec<f32>,
    result: Vec<f32>,
}

/// The number of an operation that will be waited for.
struct Ticket {
    number: u64,
    shared: Arc<Shared>,
}

impl Flight {
    /// Begins an operation on pieces of `own` of at most `largest` values: `begin` is given a piece, the place of its
    /// result, and the request. A result is `times` as long.
    fn begin(
        number: u64,
        own: Vec<f32>,
        (largest, times): (usize, usize),
        begin: impl Fn(&[f32], &mut [f32], *mut ffi::MPI_Request) -> i32,
    ) -> Result<Self, i32> {
        let mut flight = Self { number, requests: Vec::new(), result: vec![0.0; times * own.len()], own };
        let pieces = flight.own.chunks(largest).zip(flight.result.chunks_mut(times * largest));
        for (piece, result) in pieces {
            // SAFETY: a constant of the library.
            let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
            match begin(piece, result, &raw mut request) {
                code if code == ffi::MPI_SUCCESS as i32 => flight.requests.push(request),
                code => return Err(code),
            }
        }
        Ok(flight)
    }
}

impl Mpi {
    /// Begins an operation that goes on while this rank computes, in pieces, as [`Flight::begin`].
    pub(super) fn depart(
        &self,
        own: Vec<f32>,
        sizes: (usize, usize),
        begin: impl Fn(&[f32], &mut [f32], *mut ffi::MPI_Request) -> i32,
    ) -> Box<dyn Exchange> {
        let mut engine = self.shared.lock();
        engine.operations += 1;
        let number = engine.operations;
        match Flight::begin(number, own, sizes, begin) {
            Ok(flight) => engine.flights.push(flight),
            Err(code) => self.shared.fail(engine, code),
        }
        drop(engine);
        if let Some(pulse) = &*self.lock_pulse() {
            pulse.thread().unpark();
        }
        Box::new(Ticket { number, shared: self.shared.clone() })
    }
}

impl Shared {
    /// Goes on with what is under way; whether anything is.
    pub(super) fn advance(&self) -> bool {
        let mut engine = self.lock();
        match engine.advance() {
            Ok(()) => engine.is_flying(),
            Err(code) => self.fail(engine, code),
        }
    }
}

impl Engine {
    /// Goes on with what is under way.
    fn advance(&mut self) -> Result<(), i32> {
        for flight in &mut self.flights {
            while let Some(request) = flight.requests.last_mut() {
                let mut is_done = 0;
                // SAFETY: the request was begun, and is not done yet.
                let code = unsafe { ffi::MPI_Test(request, &raw mut is_done, ffi::RSMPI_STATUS_IGNORE) };
                if code != ffi::MPI_SUCCESS as i32 {
                    return Err(code);
                }
                if is_done == 0 {
                    break;
                }
                flight.requests.pop();
            }
        }
        Ok(())
    }

    /// Whether anything is under way.
    fn is_flying(&self) -> bool {
        self.flights.iter().any(|flight| !flight.requests.is_empty())
    }

    /// The result of an operation, once it is done.
    fn arrived(&mut self, number: u64) -> Option<Vec<f32>> {
        let is_it = |flight: &Flight| flight.number == number && flight.requests.is_empty();
        let place = self.flights.iter().position(is_it)?;
        Some(self.flights.swap_remove(place).result)
    }
}

impl Exchange for Ticket {
    fn finish(self: Box<Self>) -> Vec<f32> {
        let mut result = None;
        self.shared.wait_until(|engine| {
            engine.advance()?;
            result = engine.arrived(self.number);
            Ok(result.is_some())
        });
        result.expect("it was waited for")
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("number", &self.number).finish_non_exhaustive()
    }
}
