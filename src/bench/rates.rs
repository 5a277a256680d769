//! Rates over windows of time: a median and a spread instead of one number.

use std::time::{Duration, Instant};

use anyhow::Result;

const WINDOWS: u32 = 5;

/// Images a second in each of five windows of equal length, slowest first.
#[derive(Clone, Debug)]
pub struct Rates(Vec<f64>);

impl Rates {
    /// Does `work`, which returns how many images it was, over and over for `seconds`: a sixth of them to warm up, and
    /// five windows that count.
    ///
    /// # Errors
    /// The first error of `work`.
    pub fn measure(seconds: f64, mut work: impl FnMut() -> Result<u64>) -> Result<Self> {
        let window = Duration::from_secs_f64(seconds) / (WINDOWS + 1);
        let mut rate = || -> Result<f64> {
            let (started, mut images) = (Instant::now(), 0);
            while images == 0 || started.elapsed() < window {
                images += work()?;
            }
            Ok(images as f64 / started.elapsed().as_secs_f64())
        };
        rate()?;
        let mut rates = (0..WINDOWS).map(|_| rate()).collect::<Result<Vec<f64>>>()?;
        rates.sort_by(f64::total_cmp);
        Ok(Self(rates))
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// The slowest and the fastest.
    pub fn range(&self) -> (f64, f64) {
        (self.0[0], self.0[self.0.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_sorted_and_an_error_ends_them() {
        let mut calls = 0;
        let rates = Rates::measure(0.0, || {
            calls += 1;
            Ok(10)
        })
        .unwrap();
        assert_eq!(calls, 6, "one window to warm up, five that count");
        let (slowest, fastest) = rates.range();
        assert!(0.0 < slowest && slowest <= rates.median() && rates.median() <= fastest);
        assert!(Rates::measure(0.0, || anyhow::bail!("no image")).is_err());
    }
}
