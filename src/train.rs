//! The training loop, top to bottom: Algorithm 1 of Chen & He 2021 on batches from the pipeline, for every method.

use anyhow::{Context, Result, anyhow};
use dfdx::prelude::*;
use simsiam_model::network::Network;
use simsiam_model::{Backend, Optimizer, state};

use crate::checkpoint::{Checkpoint, RunState, folder};
use crate::config::{OnCollapse, TrainConfig};
use crate::data::Data;
use crate::error::Diverged;
use crate::evaluate::knn_accuracy;
use crate::feed::{Fed, Feed};
use crate::health::Health;
use crate::interrupt::Interrupt;
use crate::progress::{Counters, Progress, StepReport};
use crate::run_dir::RunDir;
use crate::schedule::Schedule;

/// What a run needs besides its model.
pub struct Run {
    /// The resolved configuration.
    pub config: TrainConfig,
    /// The opened shards.
    pub data: Data,
    /// Where its files go.
    pub dir: RunDir,
    /// Set when it has to stop.
    pub interrupt: Interrupt,
    /// Counts, prints and writes metrics.
    pub progress: Progress,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All epochs are done.
    Finished(Counters),
    /// A rule of `stop_when` holds, and it has saved where it was; why.
    StoppedEarly(Counters, String),
    /// It was asked to stop, and has saved where it was.
    Interrupted(Counters),
    /// Its outputs collapsed, and it was to stop then; it has saved where it was.
    Collapsed(Counters),
}

/// Trains a network, from its beginning or from `resumed`.
///
/// # Errors
/// If the data fails, training diverges ([`Diverged`]), or files cannot be written.
pub fn train<D: Backend>(
    model: &mut dyn Network<D>,
    run: &mut Run,
    resumed: Option<Checkpoint>,
) -> Result<Outcome> {
    let Run { config, data, dir, interrupt, progress } = run;
    let mut optimizer = Optimizer::new(config.optimizer_config());
    if let Some(checkpoint) = resumed {
        state::import(model, &checkpoint.model).context("the checkpoint's model")?;
        optimizer.import(model, &checkpoint.optimizer).context("the checkpoint's optimizer")?;
    }
    let mut gradients = model.alloc_grads();
    let batches = data.batches(config, progress.step(), Feed::<D>::DTYPE)?;
    let schedule = Schedule::new(config, batches.steps_per_epoch());
    let total_steps = config.epochs * batches.steps_per_epoch();
    let mut feed = Feed::<D>::start(batches, model.views(), &config.recipe)?;
    let save = |model: &dyn Network<D>, optimizer: &Optimizer<D>, progress: &mut Progress| {
        let state = RunState::new(config, data, progress.counters());
        dir.write_quarantine(&data.bad_samples())?;
        let checkpoint = Checkpoint { state, model: state::export(model), optimizer: optimizer.export() };
        dir.checkpoints().save(&checkpoint, config.keep_checkpoints)?;
        progress.restart_clock();
        anyhow::Ok(())
    };

    let failed = |error: D::Err| anyhow!("the device failed: {error}");

    loop {
        if let Some(epoch) = progress.epoch_to_report() {
            let knn = data.knn.as_ref().filter(|_| config.knn_is_due(epoch));
            let top1 = knn.map(|knn| knn_accuracy(model, knn, config, interrupt, progress.console()));
            let top1 = top1.transpose()?.flatten();
            if !interrupt.is_set() {
                progress.epoch_ended(top1)?;
                save(model, &optimizer, progress)?;
            }
        }
        if interrupt.is_set() {
            save(model, &optimizer, progress)?;
            return Ok(Outcome::Interrupted(progress.counters().clone()));
        }
        if progress.health() == Health::Collapsed && config.on_collapse == OnCollapse::Stop {
            save(model, &optimizer, progress)?;
            return Ok(Outcome::Collapsed(progress.counters().clone()));
        }
        if progress.is_finished() {
            return Ok(Outcome::Finished(progress.counters().clone()));
        }
        if let Some((_, reason)) = progress.stopped_by() {
            save(model, &optimizer, progress)?;
            return Ok(Outcome::StoppedEarly(progress.counters().clone(), reason));
        }

        let idle = D::done().map_err(failed)?;
        let Fed { views, samples } = feed.next().context("the pipeline ended before its last epoch")??;
        let arrived = D::arrived(&views).map_err(failed)?;
        let rates = schedule.at(progress.step());

        let step = model.loss(views, &samples, gradients);
        let loss = step.value();
        let waited = D::between(&idle, &arrived).map_err(failed)?;
        gradients = step.loss.backward();
        optimizer.update(model, &mut gradients, &rates).map_err(failed)?;
        model.zero_grads(&mut gradients);
        let (images, spreads, equal_loss) = (samples.len(), step.spreads, step.equal_loss);
        progress.stepped(&StepReport { loss, spreads, equal_loss, rates, images, waited })?;
        if progress.health() == Health::Diverged {
            return Err(Diverged(format!("the loss is {loss} at step {}", progress.step())).into());
        }
        model.end_step(progress.step(), progress.step() as f64 / total_steps as f64);

        let is_asked = interrupt.take_save();
        if is_asked || progress.step().is_multiple_of(config.checkpoint_every) {
            save(model, &optimizer, progress)?;
        }
        if is_asked {
            progress.console().line(format_args!("saved {}", folder(progress.step())));
        }
    }
}
