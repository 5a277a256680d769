//! What the ranks must have in common. Each of these is asked of all ranks at the same place.

use anyhow::Result;

use super::World;
use crate::error::{Agreed, exit_code};

impl World {
    /// What this rank came to, once all ranks have come to something.
    ///
    /// # Errors
    /// If any rank came to an error: the same on all of them.
    pub fn agree<T>(&self, own: Result<T>) -> Result<T> {
        if self.size() == 1 {
            return own;
        }
        let told = own.as_ref().err().map(|error| (exit_code(error), format!("{error:#}")));
        let told = serde_json::to_string(&told)?;
        let all = self.ranks.all_gather_text(&told).into_iter().map(|told| serde_json::from_str(&told));
        let all = all.collect::<Result<Vec<Option<(u8, String)>>, _>>()?;
        let failed = all.into_iter().enumerate().find_map(|(rank, told)| Some((rank, told?)));
        match failed {
            None => own,
            // What is wrong with the first is most often wrong with all.
            Some((0, (code, text))) => Err(Agreed { code, text }.into()),
            Some((rank, (code, text))) => {
                Err(Agreed { code, text: format!("{}: {text}", self.member(rank)) }.into())
            }
        }
    }

    /// Work that leaves files for who does it again: the first rank does it, and then the others.
    ///
    /// # Errors
    /// As [`agree`](Self::agree).
    pub fn in_turn<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.size() == 1 {
            return work();
        }
        if self.is_first() {
            let done = self.agree(work())?;
            return self.agree(Ok(done));
        }
        self.agree(Ok(()))?;
        self.agree(work())
    }

    /// Sees that all ranks have the same of each of these: (what it is, what this rank has). A process alone is not asked.
    ///
    /// # Errors
    /// If a rank has not.
    pub fn check_same<const N: usize>(
        &self,
        own: impl FnOnce() -> [(&'static str, String); N],
    ) -> Result<()> {
        if self.size() == 1 {
            return Ok(());
        }
        for (what, own) in own() {
            let all = self.ranks.all_gather_text(&own);
            if let Some((rank, text)) = all.iter().enumerate().find(|(_, text)| **text != all[0]) {
                let (other, first) = difference(text, &all[0]);
                let text = format!(
                    "{} has another {what} than {}: {other}, and not {first}",
                    self.member(rank),
                    self.member(0)
                );
                return Err(Agreed { code: 2, text }.into());
            }
        }
        Ok(())
    }
}

/// The first lines in which two texts differ.
fn difference<'a>(text: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let mut lines = text.lines().chain([""]).zip(other.lines().chain([""]));
    lines.find(|(a, b)| a != b).unwrap_or((text, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_line() {
        assert_eq!(difference("a = 1\nb = 2\n", "a = 1\nb = 3\n"), ("b = 2", "b = 3"));
        assert_eq!(difference("a = 1\n", "a = 1\nb = 3\n"), ("", "b = 3"));
    }
}
