use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{Collective, Exchange};

/// Ranks that are threads of this process, for tests and experiments.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    table: Arc<Table>,
}

/// Where the threads lay down what the others take.
#[derive(Debug)]
struct Table {
    size: usize,
    round: Mutex<Round>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Round {
    given: Vec<Option<Vec<u8>>>,
    /// Ranks that still have to take what was given.
    taking: usize,
}

impl Threads {
    /// A group of `size` ranks, one per thread.
    pub fn group(size: usize) -> Vec<Self> {
        let round = Mutex::new(Round { given: vec![None; size], taking: 0 });
        let table = Arc::new(Table { size, round, changed: Condvar::new() });
        (0..size).map(|rank| Self { rank, table: table.clone() }).collect()
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.table.size
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) {
        let Table { size, round, changed } = &*self.table;
        let lock = round.lock().unwrap_or_else(PoisonError::into_inner);
        let is_before = |round: &mut Round| round.taking > 0;
        let mut round = changed.wait_while(lock, is_before).unwrap_or_else(PoisonError::into_inner);
        round.given[self.rank] = Some(own.to_vec());
        if round.given.iter().all(Option::is_some) {
            round.taking = *size;
            changed.notify_all();
        }
        let mut round =
            changed.wait_while(round, |round| round.taking == 0).unwrap_or_else(PoisonError::into_inner);
        let given = all.chunks_exact_mut(own.len().max(1)).zip(round.given.iter().flatten());
        given.for_each(|(all, given)| all.copy_from_slice(given));
        round.taking -= 1;
        if round.taking == 0 {
            round.given.fill(None);
            changed.notify_all();
        }
    }

    fn begin_all_reduce(&self, mut values: Vec<f32>) -> Box<dyn Exchange> {
        let all = self.begin_all_gather(values.clone()).finish();
        values.fill(0.0);
        for of_rank in all.chunks_exact(values.len().max(1)) {
            values.iter_mut().zip(of_rank).for_each(|(sum, value)| *sum += value);
        }
        Box::new(values)
    }
}
