//! Distributes turns by shares, so that no party is ever a whole turn ahead or behind.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Deals turns to parties: after any `p` turns, a party with the share `w` of the total `d` has had `floor(p * w / d)` of them or
/// `ceil(p * w / d)`.
///
/// Turn `j` of a party may come when `p * w / d` exceeds `j`, and must have come when it reaches `j + 1`; of those that may, the one
/// that must first does. This always works out (Tijdeman 1980, the chairman assignment problem; as a schedule of a processor,
/// Baruah et al. 1996).
pub(crate) struct Turns {
    shares: Vec<u64>,
    total: u128,
    position: u64,
    /// Turns that may not come yet, by when they may.
    early: BinaryHeap<Reverse<(u64, Turn)>>,
    /// Turns that may come, by when they must have.
    due: BinaryHeap<Reverse<(u64, Turn)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    party: usize,
    number: u64,
}

impl Turns {
    /// Without end, if any share is more than 0. Of two that must come at the same time, the one with the lower number is first.
    pub(crate) fn new(shares: Vec<u64>) -> Self {
        let total = shares.iter().map(|&share| u128::from(share)).sum();
        let firsts = (0..shares.len()).filter(|&party| shares[party] > 0);
        let early = firsts.map(|party| Reverse((0, Turn { party, number: 0 }))).collect();
        Self { shares, total, position: 0, early, due: BinaryHeap::new() }
    }

    /// The first position at which the turn may come.
    fn earliest(&self, Turn { party, number }: Turn) -> u64 {
        (u128::from(number) * self.total / u128::from(self.shares[party])) as u64
    }

    /// The position before which it must have come.
    fn deadline(&self, Turn { party, number }: Turn) -> u64 {
        ((u128::from(number) + 1) * self.total).div_ceil(u128::from(self.shares[party])) as u64
    }
}

impl Iterator for Turns {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while let Some(&Reverse((earliest, turn))) = self.early.peek()
            && earliest <= self.position
        {
            self.early.pop();
            self.due.push(Reverse((self.deadline(turn), turn)));
        }
        let Reverse((_, turn)) = self.due.pop()?;
        let next = Turn { number: turn.number + 1, ..turn };
        self.early.push(Reverse((self.earliest(next), next)));
        self.position += 1;
        Some(turn.party)
    }
}

#[cfg(test)]
mod tests {
    use super::super::permutation::hash;
    use super::*;

    #[test]
    fn nobody_is_ever_a_whole_turn_ahead_or_behind() {
        for case in 0..300 {
            let parties = 1 + hash(case, 0) % 9;
            let largest = [1, 2, 7, 100, 5000][hash(case, 1) as usize % 5];
            let shares: Vec<u64> = (0..parties).map(|i| hash(case, 2 + i) % (largest + 1)).collect();
            let total: u64 = shares.iter().sum();
            let mut had = vec![0; shares.len()];
            let turns = Turns::new(shares.clone()).take(2 * total as usize);
            for (before, party) in turns.enumerate() {
                had[party] += 1;
                for (&had, &share) in had.iter().zip(&shares) {
                    let fair = (before as u64 + 1) * share;
                    assert!((fair / total..=fair.div_ceil(total)).contains(&had), "{shares:?}");
                }
            }
            assert!(had.iter().zip(&shares).all(|(had, share)| *had == 2 * share), "{shares:?}");
        }
    }

    #[test]
    fn nobody_with_a_share_means_no_turn() {
        assert_eq!(Turns::new(vec![]).next(), None);
        assert_eq!(Turns::new(vec![0, 0]).next(), None);
    }
}
