//! What each rank tells the others every step: whether it was asked to stop or to save, and which images it could not use.

use anyhow::Result;
use simsiam_pipeline::BadSample;

use super::World;
use crate::data::Data;
use crate::interrupt::Interrupt;

/// What is known of all ranks since the latest exchange: the same on each of them.
pub struct News<'a> {
    world: &'a World,
    interrupt: &'a Interrupt,
    data: &'a Data,
    stops: bool,
    saves: bool,
    /// Unusable images that all know of.
    known: usize,
}

impl<'a> News<'a> {
    /// Nothing yet. All ranks know of those that are unusable so far.
    pub fn new(world: &'a World, interrupt: &'a Interrupt, data: &'a Data) -> Self {
        Self { world, interrupt, data, stops: false, saves: false, known: bad(data) }
    }

    /// Asks this rank, and all others.
    ///
    /// # Errors
    /// If more images are unusable than allowed, over all ranks.
    pub fn exchange(&mut self) -> Result<()> {
        let (stops, saves) = (self.interrupt.is_set(), self.interrupt.take_save());
        let own = [u64::from(stops), u64::from(saves), (bad(self.data) - self.known) as u64];
        let all = self.world.ranks.all_gather(&own);
        let any = |which: usize| all.chunks_exact(own.len()).any(|of_rank| of_rank[which] > 0);
        self.stops |= any(0);
        self.saves |= any(1);
        if any(2) && self.world.size() > 1 {
            self.exchange_bad_samples()?;
        }
        self.known = bad(self.data);
        Ok(())
    }

    /// Whether to stop.
    pub fn stops(&self) -> bool {
        self.stops
    }

    /// Whether to save, since this was last asked.
    pub fn take_save(&mut self) -> bool {
        std::mem::take(&mut self.saves)
    }

    fn exchange_bad_samples(&self) -> Result<()> {
        let quarantines: Vec<_> = self.data.quarantines().collect();
        let own: Vec<Vec<BadSample>> = quarantines.iter().map(|quarantine| quarantine.list()).collect();
        for all in self.world.ranks.all_gather_text(&serde_json::to_string(&own)?) {
            let of_rank: Vec<Vec<BadSample>> = serde_json::from_str(&all)?;
            for (quarantine, bad) in quarantines.iter().zip(of_rank) {
                quarantine.restore(bad);
            }
        }
        quarantines.iter().try_for_each(|quarantine| quarantine.check_budget())?;
        Ok(())
    }
}

/// Unusable images that this rank knows of.
fn bad(data: &Data) -> usize {
    data.quarantines().map(|quarantine| quarantine.len()).sum()
}
