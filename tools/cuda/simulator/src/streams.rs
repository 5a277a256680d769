//! Streams and events: what was asked for runs when something waits for it, or at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::memory::{Fault, Memory};

/// When the streams' work is done: at once, or not before the host or another stream waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All at once.
    Early,
    /// All late.
    Late,
    /// The null stream's late, that of all others at once.
    Mixed,
}

/// Some of a stream's work: all up to this number.
#[derive(Clone, Copy)]
pub struct Mark {
    stream: usize,
    up_to: u64,
}

/// What a piece of work does to memory.
pub type Task = Box<dyn FnOnce(&mut Memory) -> Result<(), Fault> + Send>;

/// A piece of work.
pub enum Work {
    Do(Task),
    Wait(Mark),
    /// The event's number.
    Note(usize),
}

#[derive(Default)]
struct Stream {
    queue: VecDeque<Work>,
    asked: u64,
    done: u64,
    /// What the host has waited for.
    waited: u64,
}

/// What can be said of the time between two events.
pub enum Elapsed {
    Ms(f32),
    NotReady,
    /// One of them never was, or keeps no time.
    NeverRecorded,
}

#[derive(Clone, Copy)]
struct Event {
    is_timed: bool,
    mark: Option<Mark>,
    reached: Option<Instant>,
}

/// All of them; stream 0 is the one that others are not ordered with unless they say so, as all others are non-blocking.
pub struct Streams {
    pub order: Order,
    streams: Vec<Stream>,
    events: Vec<Event>,
}

impl Streams {
    pub fn new(order: Order) -> Self {
        Self { order, streams: vec![Stream::default()], events: Vec::new() }
    }

    pub fn create_stream(&mut self) -> usize {
        self.streams.push(Stream::default());
        self.streams.len() - 1
    }

    pub fn create_event(&mut self, is_timed: bool) -> usize {
        self.events.push(Event { is_timed, mark: None, reached: None });
        self.events.len() - 1
    }

    /// Asks for work on a stream.
    pub fn ask(&mut self, memory: &mut Memory, stream: usize, work: Work) -> Result<(), Fault> {
        let queue = &mut self.streams[stream];
        queue.queue.push_back(work);
        queue.asked += 1;
        match (self.order, stream) {
            (Order::Early, _) | (Order::Mixed, 1..) => self.finish(memory, stream),
            (Order::Late, _) | (Order::Mixed, 0) => Ok(()),
        }
    }

    pub fn record(&mut self, memory: &mut Memory, event: usize, stream: usize) -> Result<(), Fault> {
        let mark = Mark { stream, up_to: self.streams[stream].asked + 1 };
        self.events[event] = Event { mark: Some(mark), reached: None, ..self.events[event] };
        self.ask(memory, stream, Work::Note(event))
    }

    pub fn wait(&mut self, memory: &mut Memory, stream: usize, event: usize) -> Result<(), Fault> {
        match self.events[event].mark {
            Some(mark) => self.ask(memory, stream, Work::Wait(mark)),
            None => Ok(()),
        }
    }

    /// What comes before an event's last record.
    pub fn before(&self, event: usize) -> Option<Mark> {
        self.events[event].mark
    }

    /// All of a stream's work.
    pub fn all_of(&self, stream: usize) -> Mark {
        Mark { stream, up_to: self.streams[stream].asked }
    }

    /// The host waits for some work; whether it has not waited for as much before.
    pub fn synchronize(&mut self, memory: &mut Memory, mark: Mark) -> Result<bool, Fault> {
        self.run(memory, mark)?;
        let waited = &mut self.streams[mark.stream].waited;
        let before = std::mem::replace(waited, mark.up_to.max(*waited));
        Ok(before < mark.up_to)
    }

    /// Runs all of a stream's work.
    fn finish(&mut self, memory: &mut Memory, stream: usize) -> Result<(), Fault> {
        self.run(memory, self.all_of(stream))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.streams.len()
    }

    /// The time between two events, which must have been reached: nothing is waited for.
    pub fn elapsed(&self, from: usize, to: usize) -> Elapsed {
        let [from, to] = [from, to].map(|event| self.events[event]);
        match (from.mark.and(to.mark), from.reached, to.reached) {
            (None, ..) => Elapsed::NeverRecorded,
            _ if !from.is_timed || !to.is_timed => Elapsed::NeverRecorded,
            (_, Some(from), Some(to)) => {
                let ms = |duration: Duration| duration.as_secs_f32() * 1e3;
                Elapsed::Ms(if to >= from { ms(to - from) } else { -ms(from - to) })
            }
            _ => Elapsed::NotReady,
        }
    }

    fn run(&mut self, memory: &mut Memory, Mark { stream, up_to }: Mark) -> Result<(), Fault> {
        while self.streams[stream].done < up_to {
            let work = self.streams[stream].queue.pop_front().expect("what was asked for is done or queued");
            self.streams[stream].done += 1;
            match work {
                Work::Do(work) => work(memory)?,
                Work::Wait(mark) => self.run(memory, mark)?,
                Work::Note(event) => self.events[event].reached = Some(Instant::now()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another stream writes 2, the null stream 1: with or without waiting for it.
    fn last_written(order: Order, waits: bool) -> u8 {
        let (mut memory, mut streams) = (Memory::new(1 << 20), Streams::new(order));
        let address = memory.reserve(1).unwrap();
        memory.begin(address);
        let (other, event) = (streams.create_stream(), streams.create_event(true));
        let write = |value| Work::Do(Box::new(move |memory: &mut Memory| memory.write(address, &[value])));
        streams.ask(&mut memory, other, write(2)).unwrap();
        streams.record(&mut memory, event, other).unwrap();
        if waits {
            streams.wait(&mut memory, 0, event).unwrap();
        }
        streams.ask(&mut memory, 0, write(1)).unwrap();
        (0..2).try_for_each(|stream| streams.finish(&mut memory, stream)).unwrap();
        memory.bytes(address, 1).unwrap()[0]
    }

    #[test]
    fn streams_are_ordered_by_events_alone() {
        for order in [Order::Early, Order::Late, Order::Mixed] {
            assert_eq!(last_written(order, true), 1, "{order:?}");
        }
        assert_eq!(last_written(Order::Late, false), 2, "the null stream is not waited for by others");
    }

    #[test]
    fn late_work_is_done_when_it_is_waited_for() {
        let (mut memory, mut streams) = (Memory::new(1 << 20), Streams::new(Order::Late));
        let address = memory.reserve(1).unwrap();
        memory.begin(address);
        let event = streams.create_event(true);
        let write = Work::Do(Box::new(move |memory: &mut Memory| memory.write(address, &[1])));
        streams.ask(&mut memory, 0, write).unwrap();
        streams.record(&mut memory, event, 0).unwrap();
        assert!(memory.bytes(address, 1).is_err());
        let mark = streams.before(event).unwrap();
        assert!(streams.synchronize(&mut memory, mark).unwrap());
        assert!(memory.bytes(address, 1).is_ok());
        assert!(!streams.synchronize(&mut memory, mark).unwrap(), "nothing is left to wait for");
    }
}
