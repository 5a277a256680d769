//! When a run ends before its last epoch: rules on the accuracies of the kNN monitor.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::TrainConfig;

/// A rule that ends a run early, written as `knn>=55` or `stale 10`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum StopRule {
    /// The latest kNN top-1 accuracy is at least so many percent.
    Knn(f64),
    /// The latest so many evaluations were not better than the best before them.
    Stale(u64),
    /// No rule: takes away those of a file or of the run that goes on.
    Never,
}

/// What a rule is judged by: the accuracies of the kNN monitor so far.
#[derive(Clone, Copy, Debug)]
pub struct Accuracies {
    /// The latest, in percent.
    pub last: f64,
    /// The best, in percent.
    pub best: f64,
    /// Evaluations since the best.
    pub since_best: u64,
}

impl StopRule {
    /// Whether a run with these accuracies ends.
    pub fn holds(self, accuracies: &Accuracies) -> bool {
        match self {
            Self::Knn(percent) => accuracies.last >= percent,
            Self::Stale(evaluations) => accuracies.since_best >= evaluations,
            Self::Never => false,
        }
    }

    /// Why a run with these accuracies ended.
    pub fn reason(self, Accuracies { last, best, since_best }: &Accuracies) -> String {
        match self {
            Self::Stale(_) => {
                format!("`{self}` holds: {since_best} evaluations no better than kNN top-1 {best:.2} %")
            }
            _ => format!("`{self}` holds: kNN top-1 is {last:.2} %"),
        }
    }
}

impl FromStr for StopRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rule =
            if let Some(percent) = text.strip_prefix("knn").and_then(|rest| rest.trim().strip_prefix(">=")) {
                let percent = percent.trim().parse().ok();
                percent.filter(|percent| *percent > 0.0 && *percent <= 100.0).map(Self::Knn)
            } else if let Some(evaluations) = text.strip_prefix("stale ") {
                evaluations.trim().parse().ok().filter(|evaluations| *evaluations >= 1).map(Self::Stale)
            } else {
                (text == "never").then_some(Self::Never)
            };
        rule.ok_or_else(|| {
            "must be `knn>=P` (percent, above 0 and at most 100), `stale N` (evaluations, at least 1) or `never`".into()
        })
    }
}

impl TryFrom<String> for StopRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StopRule> for String {
    fn from(rule: StopRule) -> String {
        rule.to_string()
    }
}

impl fmt::Display for StopRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Knn(percent) => write!(f, "knn>={percent}"),
            Self::Stale(evaluations) => write!(f, "stale {evaluations}"),
            Self::Never => f.write_str("never"),
        }
    }
}

impl TrainConfig {
    /// The rule, if there is one, that ends a run with these accuracies.
    pub fn stop_rule(&self, accuracies: &Accuracies) -> Option<StopRule> {
        self.stop_when.iter().copied().find(|rule| rule.holds(accuracies))
    }

    /// Evaluations of the kNN monitor after that of the untrained encoder.
    pub fn evaluations(&self) -> u64 {
        let every = self.knn_every.unwrap_or(1);
        // One more after the last epoch, where that is no multiple.
        self.epochs.checked_div(every).unwrap_or(0)
            + u64::from(self.epochs.checked_rem(every).is_some_and(|rest| rest > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<StopRule>();
        assert_eq!(read("knn>=55"), Ok(StopRule::Knn(55.0)));
        assert_eq!(read(" knn >= 55.5 "), Ok(StopRule::Knn(55.5)));
        assert_eq!(read("stale 10"), Ok(StopRule::Stale(10)));
        for rule in [StopRule::Knn(62.25), StopRule::Stale(3), StopRule::Never] {
            assert_eq!(read(&rule.to_string()), Ok(rule));
        }
        for text in
            ["", "knn>55", "knn>=0", "knn>=100.1", "knn>=NaN", "stale", "stale 0", "stale -1", "loss<=0"]
        {
            assert!(read(text).unwrap_err().starts_with("must be `knn>=P` (percent"), "{text}");
        }
    }

    #[test]
    fn a_rule_holds_from_its_limit_on() {
        let seen = |last, since_best| Accuracies { last, best: 60.0, since_best };
        assert!(StopRule::Knn(55.0).holds(&seen(55.0, 0)) && !StopRule::Knn(55.0).holds(&seen(54.9, 9)));
        assert!(StopRule::Stale(3).holds(&seen(50.0, 3)) && !StopRule::Stale(3).holds(&seen(50.0, 2)));
        assert!(!StopRule::Never.holds(&seen(100.0, u64::MAX)));
        assert_eq!(
            StopRule::Stale(3).reason(&seen(50.0, 3)),
            "`stale 3` holds: 3 evaluations no better than kNN top-1 60.00 %"
        );
    }
}
