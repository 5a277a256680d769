//! The rows of the paper's tables, as settings.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::config::{
    AlternateSteps, HeadNorm, Method, Overrides, Predictor, PredictorLr, Similarity, Symmetry, Target,
    TrainConfig,
};
use crate::error::InputError;

/// Which of the paper's experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Study {
    /// Sections 4 and 5: the ablations of SimSiam.
    Ablations,
    /// Table 4 and beyond: SimSiam and the other methods.
    Methods,
}

impl fmt::Display for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ablations => "ablations",
            Self::Methods => "methods",
        })
    }
}

/// A table of the paper: its rows are plotted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Section 4.1, figure 2.
    StopGradient,
    /// Section 4.2, table 1.
    Predictor,
    /// Section 4.3, table 2.
    BatchSize,
    /// Section 4.4, table 3.
    BatchNorm,
    /// Section 4.5.
    Similarity,
    /// Section 4.6.
    Symmetry,
    /// Section 5.
    Hypothesis,
    /// The width of the outputs.
    OutputDim,
    /// Table 4.
    Methods,
}

impl Group {
    /// A heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::StopGradient => "stop-gradient (section 4.1)",
            Self::Predictor => "predictor (section 4.2)",
            Self::BatchSize => "batch size, linear rule (section 4.3)",
            Self::BatchNorm => "batch norm in the MLPs (section 4.4)",
            Self::Similarity => "similarity (section 4.5)",
            Self::Symmetry => "symmetry (section 4.6)",
            Self::Hypothesis => "alternating optimisation and the expectation over augmentations (section 5)",
            Self::OutputDim => "output dimension",
            Self::Methods => "methods (table 4)",
        }
    }

    /// Whether its rows minimise different losses, whose values don't compare.
    pub fn has_several_losses(self) -> bool {
        matches!(self, Self::Similarity | Self::Methods)
    }

    /// A file's name.
    pub fn slug(self) -> &'static str {
        match self {
            Self::StopGradient => "stop-gradient",
            Self::Predictor => "predictor",
            Self::BatchSize => "batch-size",
            Self::BatchNorm => "mlp-bn",
            Self::Similarity => "similarity",
            Self::Symmetry => "symmetry",
            Self::Hypothesis => "section-5",
            Self::OutputDim => "projector-dim",
            Self::Methods => "methods",
        }
    }
}

/// One experiment.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its table.
    pub group: Group,
    /// What it is.
    pub name: String,
    /// The settings in which it differs.
    pub flags: Overrides,
    /// The paper's linear top-1 on ImageNet after 100 epochs, in percent, and a remark.
    pub paper: &'static str,
    /// The seeds to run it with.
    pub seeds: Range<u64>,
}

impl Row {
    /// Whether it changes nothing.
    pub fn is_baseline(&self) -> bool {
        toml::Table::try_from(&self.flags).is_ok_and(|flags| flags.is_empty())
    }

    /// A folder's name.
    pub fn slug(&self) -> String {
        let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        format!("{}-{}", self.group.slug(), self.name.chars().map(keep).collect::<String>())
    }
}

impl Study {
    /// All rows, for runs with `common` settings; every row's configuration has been resolved once.
    ///
    /// # Errors
    /// If a row cannot be run with them.
    pub fn rows(self, common: &Overrides) -> Result<Vec<Row>, InputError> {
        if common.multi_crop == Some(true) {
            return Err(InputError::new(
                "--multi-crop is a row of `study methods`, beside two crops, and no setting of every run",
            ));
        }
        let first = common.seed.unwrap_or(0);
        let base = TrainConfig::resolve(common)?;
        let row = |group, name: &str, paper, flags| Row {
            group,
            name: name.to_owned(),
            flags,
            paper,
            seeds: first..first.saturating_add(if group == Group::StopGradient { 3 } else { 1 }),
        };
        let rows = match self {
            Self::Ablations => ablations(&row, &base),
            Self::Methods => methods(&row, &base),
        };
        rows.iter().try_for_each(|row| TrainConfig::resolve(&row.flags.over(common))?.check_size())?;
        Ok(rows)
    }
}

type MakeRow<'a> = &'a dyn Fn(Group, &str, &'static str, Overrides) -> Row;

fn ablations(row: MakeRow<'_>, base: &TrainConfig) -> Vec<Row> {
    let unset = Overrides::default;
    let batch = |size: usize, paper| {
        let flags = Overrides { batch_size: Some(size), ..unset() };
        row(Group::BatchSize, &format!("batch {size}"), paper, flags)
    };
    let bn = |name, paper, mlp_bn| {
        row(Group::BatchNorm, name, paper, Overrides { mlp_bn: Some(mlp_bn), ..unset() })
    };
    let alternate = |name, paper, steps| {
        row(Group::Hypothesis, name, paper, Overrides { alternate_steps: Some(steps), ..unset() })
    };
    let dim = |size: usize, paper| {
        let flags = Overrides { projector_dim: Some(size), ..unset() };
        row(Group::OutputDim, &format!("d = {size}"), paper, flags)
    };
    let mut rows = vec![
        row(
            Group::StopGradient,
            "with stop-gradient",
            "67.7 (68.1 with the constant predictor rate)",
            unset(),
        ),
        row(
            Group::StopGradient,
            "without stop-gradient",
            "0.1, collapses",
            Overrides { stop_gradient: Some(false), ..unset() },
        ),
        row(
            Group::Predictor,
            "predictor rate decays",
            "67.7",
            Overrides { predictor_lr: Some(PredictorLr::Decay), ..unset() },
        ),
        row(
            Group::Predictor,
            "no predictor",
            "0.1, collapses",
            Overrides { predictor: Some(Predictor::None), ..unset() },
        ),
        row(
            Group::Predictor,
            "fixed random predictor",
            "1.5, does not converge, no collapse",
            Overrides { predictor: Some(Predictor::FixedRandom), ..unset() },
        ),
        bn("none", "34.6", HeadNorm::None),
        bn("hidden only", "67.4", HeadNorm::Hidden),
        bn("all", "unstable, no collapse", HeadNorm::All),
        row(
            Group::Similarity,
            "cross-entropy",
            "63.2",
            Overrides { similarity: Some(Similarity::CrossEntropy), ..unset() },
        ),
        row(
            Group::Symmetry,
            "asymmetric",
            "64.8",
            Overrides { symmetry: Some(Symmetry::Asymmetric), ..unset() },
        ),
        row(
            Group::Symmetry,
            "asymmetric 2x",
            "67.3",
            Overrides { symmetry: Some(Symmetry::AsymmetricTwice), ..unset() },
        ),
        alternate("renewed every 10 steps", "68.7", AlternateSteps::Steps(10)),
        alternate("renewed every 100 steps", "68.9", AlternateSteps::Steps(100)),
        alternate("renewed every epoch", "67.0", AlternateSteps::Epoch),
        row(
            Group::Hypothesis,
            "moving average of targets without predictor",
            "55.0",
            Overrides { target: Some(Target::MovingAverage), ..unset() },
        ),
    ];
    let batches = [(64, "66.1"), (128, "67.3"), (256, "68.1"), (512, "68.1"), (1024, "68.0")];
    rows.extend(
        batches
            .into_iter()
            .filter(|(size, _)| *size != base.batch_size)
            .map(|(size, paper)| batch(size, paper)),
    );
    let dims = [(256, "65.3"), (512, "67.2"), (1024, "67.5"), (2048, "68.1")];
    rows.extend(
        dims.into_iter()
            .filter(|(size, _)| *size != base.projector_dim)
            .map(|(size, paper)| dim(size, paper)),
    );
    rows
}

/// Every method on two crops of one recipe, as in table 4; and beside them those whose authors have views of their own.
fn methods(row: MakeRow<'_>, base: &TrainConfig) -> Vec<Row> {
    let method = |method: &Method| {
        let flags = Overrides { method: Some(*method), ..Overrides::default() };
        row(Group::Methods, method.name(), method.reported(), flags)
    };
    let mut rows: Vec<Row> = Method::ALL.iter().map(method).collect();
    let byol = toml::Table::from_iter([("preset".to_owned(), "byol".into())]);
    let flags = Overrides { method: Some(Method::Byol), recipe: Some(byol), ..Overrides::default() };
    rows.push(row(Group::Methods, "byol with its own recipe", "", flags));
    if base.arch.small_size(base.recipe.size).is_some() {
        let flags = Overrides { method: Some(Method::SwAv), multi_crop: Some(true), ..Overrides::default() };
        rows.push(row(Group::Methods, "swav with multi-crop", "", flags));
    }
    rows
}
