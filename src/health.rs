//! Whether training still tells images apart: the states, and the rule that tells one from another.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{HeadNorm, TrainConfig};

/// Whether the outputs still tell images apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// They do.
    #[default]
    Healthy,
    /// They use few of their dimensions: the effective rank is under [`FEW_DIRECTIONS`](HealthRule::FEW_DIRECTIONS).
    DimensionalCollapse,
    /// They don't: the std of `z / |z|` is under a tenth of `1 / sqrt(d)`, or all outputs lie on one line.
    Collapsed,
    /// Loss or outputs are no longer numbers.
    Diverged,
}

/// What is seen of the outputs: means over some steps.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The loss.
    pub loss: f64,
    /// What it would be if the outputs of all images were the same, where that is no minimum of it.
    pub equal_loss: Option<f64>,
    /// The std of `z / |z|`.
    pub z_std: f64,
    /// Its effective rank.
    pub z_rank: f64,
}

/// What tells the states apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthRule {
    /// The std of outputs that are spread evenly: `1 / sqrt(d)`.
    pub even_std: f64,
    /// Whether batch norm keeps the outputs' mean at 0. Their std cannot fall to 0 then, so that they lie on one line is a
    /// collapse; elsewhere it can, and the std alone tells.
    pub centres: bool,
    /// Whether the effective rank tells anything: centred outputs of `b` images have `b - 1` directions at most.
    pub knows_rank: bool,
}

impl HealthRule {
    /// Under this effective rank, outputs count as lying on one line. Exactly on it, the rank is 1; spread evenly over a plane,
    /// it is 2.
    pub const LINE: f64 = 2.0;
    /// Under this effective rank, outputs count as using few of their dimensions.
    pub const FEW_DIRECTIONS: f64 = 2.5;
    /// A loss so far under that of equal outputs, in nats, tells images apart. Outputs whose std is a tenth of the even one
    /// differ by 0.01 in their cosines, which at a temperature of 0.2 is half of that.
    pub const TOLD_APART: f64 = 0.1;
    /// Under this share of the even std, outputs are the same whatever the loss: MoCo's is under that of equal outputs also where
    /// they only move, for the queue's keys are older than the query. Untrained ones, however parallel, are above.
    pub const SAME: f64 = 0.01;
    /// From this batch on the rank is looked at.
    const FEWEST_IMAGES: usize = 8;

    /// The rule for a run.
    pub fn new(config: &TrainConfig) -> Self {
        Self {
            even_std: 1.0 / (config.projector_dim as f64).sqrt(),
            centres: matches!(config.mlp_bn, HeadNorm::Default | HeadNorm::All),
            knows_rank: config.batch_size >= Self::FEWEST_IMAGES,
        }
    }

    /// The state of outputs of which this is seen.
    pub fn judge(&self, seen: &Seen) -> Health {
        let Seen { loss, z_std, z_rank, .. } = *seen;
        let Self { even_std, centres, knows_rank } = *self;
        if ![loss, z_std, z_rank].iter().all(|value| value.is_finite()) {
            Health::Diverged
        } else if self.is_told_apart(seen) {
            Health::Healthy
        } else if z_std < 0.1 * even_std || (knows_rank && centres && z_rank < Self::LINE) {
            Health::Collapsed
        } else if knows_rank && z_rank < Self::FEW_DIRECTIONS {
            Health::DimensionalCollapse
        } else {
            Health::Healthy
        }
    }

    /// Whether the loss shows that images are told apart, whatever std and rank are. Batch norm gives all channels of the
    /// outputs one variance. Without it a common mean makes the std small, and one strong direction the rank, however
    /// much the others carry: then a loss that pushes images apart knows better.
    fn is_told_apart(&self, seen: &Seen) -> bool {
        !self.centres
            && seen.z_std >= Self::SAME * self.even_std
            && seen.equal_loss.is_some_and(|equal| seen.loss < equal - Self::TOLD_APART)
    }

    /// What there is to say when the state becomes `health`; `help` is the method's, from
    /// [`collapse_help`](TrainConfig::collapse_help).
    pub fn announcement(&self, health: Health, seen: &Seen, help: &str) -> String {
        let Seen { loss, equal_loss, z_std, z_rank } = seen;
        match health {
            Health::Healthy => "the outputs tell images apart again".into(),
            Health::DimensionalCollapse => format!(
                "the outputs take few directions: effective rank {z_rank:.2} (std of z/|z| {z_std:.5}); {help}"
            ),
            Health::Collapsed => {
                let equal = equal_loss
                    .map_or_else(String::new, |equal| format!(" ({equal:.4} if all were the same)"));
                format!(
                    "the outputs no longer tell images apart: std of z/|z| {z_std:.5} (1/sqrt(d) = {:.4}), effective rank \
                     {z_rank:.2}, loss {loss:.4}{equal}; {help}",
                    self.even_std
                )
            }
            Health::Diverged => format!("loss {loss}, std of z/|z| {z_std}, effective rank {z_rank}"),
        }
    }
}

impl Health {
    /// The state after a line of state `before`: a collapse lasts until the outputs are healthy again, so that a rank near
    /// the limit is not announced at every other line.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        if (before, self) == (Self::Collapsed, Self::DimensionalCollapse) { before } else { self }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::DimensionalCollapse => "dimensional collapse",
            Self::Collapsed => "collapsed",
            Self::Diverged => "diverged",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Method, Overrides, Preset};

    const CENTRED: HealthRule = HealthRule { even_std: 1.0, centres: true, knows_rank: true };

    fn seen(loss: f64, z_std: f64, z_rank: f64) -> Seen {
        Seen { loss, equal_loss: None, z_std, z_rank }
    }

    fn rule(method: Method) -> HealthRule {
        let overrides =
            Overrides { method: Some(method), preset: Some(Preset::Demo), ..Overrides::default() };
        HealthRule::new(&TrainConfig::resolve(&overrides).unwrap())
    }

    /// The states of log lines (loss, std over `1 / sqrt(d)`, rank).
    fn states(method: Method, equal_loss: Option<f64>, lines: &[(f64, f64, f64)]) -> Vec<Health> {
        let rule = rule(method);
        let mut state = Health::Healthy;
        let judge = |&(loss, std, z_rank): &(f64, f64, f64)| {
            state = rule.judge(&Seen { loss, equal_loss, z_std: std * rule.even_std, z_rank }).after(state);
            state
        };
        lines.iter().map(judge).collect()
    }

    /// Steps 10, 20, 100, 500 and 936 of two runs of the demo, whose kNN ends 21 and 8 points above the untrained network's:
    /// the std begins under a tenth, for an untrained projector without batch norm has nearly parallel outputs, and the
    /// rank stays under 2.
    #[test]
    fn moco_on_the_demo_is_healthy_throughout() {
        let equal = Some(4097f64.ln());
        for lines in [
            [
                (6.041, 0.108, 3.01),
                (7.253, 0.093, 1.47),
                (7.152, 0.122, 1.03),
                (7.463, 0.490, 1.48),
                (7.477, 0.611, 1.53),
            ],
            [
                (6.119, 0.094, 2.10),
                (7.396, 0.049, 1.10),
                (7.446, 0.082, 1.03),
                (7.242, 0.236, 1.06),
                (7.649, 0.464, 1.14),
            ],
        ] {
            assert_eq!(states(Method::MoCoV2, equal, &lines), [Health::Healthy; 5]);
        }
    }

    /// Steps 20, 160, 360 and 800 of the demo, whose kNN goes from 37 to 65 %.
    #[test]
    fn swav_on_the_demo_is_healthy_though_its_rank_falls() {
        let lines = [(8.073, 0.867, 2.70), (7.708, 0.90, 2.31), (7.486, 0.886, 2.17), (7.228, 0.907, 2.75)];
        assert_eq!(states(Method::SwAv, Some(3000f64.ln()), &lines), [Health::Healthy; 4]);
    }

    #[test]
    fn a_contrastive_loss_at_that_of_equal_outputs_is_a_collapse() {
        let equal = 4097f64.ln();
        let lines =
            [(equal - 0.05, 0.05, 1.0), (equal, 0.01, 1.0), (equal, 0.3, 1.2), (equal - 0.2, 0.3, 1.2)];
        assert_eq!(
            states(Method::MoCoV2, Some(equal), &lines),
            [Health::Collapsed, Health::Collapsed, Health::Collapsed, Health::Healthy]
        );
    }

    /// Steps 10 to 60 of the demo with a weight decay of 1, whose kNN ends 13 points under the untrained network's. What
    /// becomes of the loss is the movement of equal outputs.
    #[test]
    fn moco_whose_weights_vanish_collapses_though_its_loss_is_low() {
        let lines = [
            (6.148, 8.4e-2, 2.47),
            (7.371, 4.4e-2, 1.71),
            (7.854, 8.7e-3, 1.74),
            (7.615, 1.6e-3, 1.14),
            (7.492, 1.1e-3, 1.71),
            (7.541, 7.8e-6, 1.05),
        ];
        let states = states(Method::MoCoV2, Some(4097f64.ln()), &lines);
        assert_eq!(states[..2], [Health::Healthy; 2]);
        assert_eq!(states[2..], [Health::Collapsed; 4]);
    }

    /// Steps 10, 40, 50 and 190 of SimSiam on CIFAR-10 without stop-gradient: no loss tells it from learning.
    #[test]
    fn simsiam_without_stop_gradient_collapses_as_its_rank_falls() {
        let lines = [(-0.20, 0.97, 5.2), (-0.69, 0.75, 2.3), (-0.75, 0.72, 1.95), (-0.88, 0.47, 1.5)];
        assert_eq!(
            states(Method::SimSiam, None, &lines),
            [Health::Healthy, Health::DimensionalCollapse, Health::Collapsed, Health::Collapsed]
        );
    }

    #[test]
    fn a_tenth_of_the_even_std_is_a_collapse() {
        let even_std = 1.0 / 2048f64.sqrt();
        let rule = HealthRule { even_std, centres: false, ..CENTRED };
        let health = |share: f64| rule.judge(&seen(-0.9, share * even_std, 20.0));
        assert_eq!([0.101, 0.5, 1.2].map(health), [Health::Healthy; 3]);
        assert_eq!([0.0, 0.099].map(health), [Health::Collapsed; 2]);
    }

    #[test]
    fn few_directions_are_a_collapse_whatever_their_std() {
        assert_eq!(
            [1.0, 1.99, 2.01, 2.49, 2.51].map(|rank| CENTRED.judge(&seen(-0.9, 1.0, rank))),
            [
                Health::Collapsed,
                Health::Collapsed,
                Health::DimensionalCollapse,
                Health::DimensionalCollapse,
                Health::Healthy
            ]
        );
    }

    #[test]
    fn behind_batch_norm_the_rank_tells_also_of_a_contrastive_loss() {
        let seen = Seen { equal_loss: Some(4.8), ..seen(4.2, 0.9, 1.5) };
        assert_eq!(CENTRED.judge(&seen), Health::Collapsed);
        assert_eq!(HealthRule { centres: false, ..CENTRED }.judge(&seen), Health::Healthy);
    }

    #[test]
    fn a_collapse_lasts_until_the_outputs_are_healthy() {
        assert_eq!(Health::DimensionalCollapse.after(Health::Collapsed), Health::Collapsed);
        assert_eq!(Health::DimensionalCollapse.after(Health::Healthy), Health::DimensionalCollapse);
        assert_eq!(Health::Healthy.after(Health::Collapsed), Health::Healthy);
    }

    #[test]
    fn a_line_is_a_collapse_only_behind_batch_norm() {
        let rule = HealthRule { centres: false, ..CENTRED };
        assert_eq!(rule.judge(&seen(7.5, 0.5, 1.2)), Health::DimensionalCollapse);
    }

    #[test]
    fn batches_of_a_few_images_are_judged_by_their_std_alone() {
        let rule = |batch_size| HealthRule {
            even_std: 1.0,
            ..HealthRule::new(&TrainConfig { batch_size, ..TrainConfig::preset(Preset::Demo) })
        };
        assert_eq!(
            [2, 7, 8].map(|batch| rule(batch).judge(&seen(-0.5, 1.0, 1.0))),
            [Health::Healthy, Health::Healthy, Health::Collapsed]
        );
        assert_eq!(rule(2).judge(&seen(-1.0, 0.01, 1.0)), Health::Collapsed);
    }

    #[test]
    fn what_is_no_number_has_diverged() {
        assert_eq!(CENTRED.judge(&seen(f64::NAN, 1.0, 9.0)), Health::Diverged);
        assert_eq!(CENTRED.judge(&seen(-0.5, f64::NAN, 9.0)), Health::Diverged);
    }
}
