//! The training loop, top to bottom: SimSiam as Algorithm 1 of Chen & He 2021 has it, on batches from the pipeline.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dfdx::prelude::*;
use simsiam_model::objective::{Spread, symmetric_loss};
use simsiam_model::{Encoder, Sgd, SgdConfig, SimSiam, SimSiamConfig, TargetGradient, images_from, state};

use crate::checkpoint::{Checkpoint, RunState};
use crate::config::TrainConfig;
use crate::data::Data;
use crate::evaluate::knn_accuracy;
use crate::interrupt::Interrupt;
use crate::progress::{Counters, Progress, StepReport};
use crate::run_dir::RunDir;
use crate::schedule::Schedule;

/// Width of the projections `z`.
pub const DIM: usize = 2048;
/// Width of the predictor's bottleneck.
pub const HIDDEN: usize = 512;

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
    /// It was asked to stop, and has saved where it was.
    Interrupted(Counters),
}

/// Trains an encoder of one architecture, from the beginning or from `resumed`.
///
/// # Errors
/// If the data fails, the loss is no longer a number, or files cannot be written.
pub fn train<E, const SIZE: usize, const FEATURES: usize>(
    dev: &Cpu,
    run: Run,
    resumed: Option<Checkpoint>,
) -> Result<Outcome>
where
    E: Encoder<Cpu, SIZE, FEATURES>,
{
    let Run { config, data, dir, interrupt, mut progress } = run;
    let heads = SimSiamConfig { projector_layers: config.projector_layers };
    let mut model: SimSiam<E, FEATURES, DIM, HIDDEN, _> = SimSiam::new(dev, &heads, config.seed);
    let sgd = SgdConfig { momentum: config.momentum as f32, weight_decay: config.weight_decay as f32 };
    let mut optimizer = Sgd::new(sgd);
    let targets = if config.stop_gradient { TargetGradient::Stopped } else { TargetGradient::Flows };
    if let Some(checkpoint) = resumed {
        state::import(&mut model, &checkpoint.model).context("the checkpoint's model")?;
        optimizer.import(&model, &checkpoint.optimizer).context("the checkpoint's optimizer")?;
    }
    let mut gradients = model.alloc_grads();
    let mut batches = data.batches(&config, progress.step())?;
    let schedule = Schedule::new(&config, batches.steps_per_epoch());
    let save = |model: &SimSiam<_, FEATURES, DIM, HIDDEN, _>, optimizer: &Sgd<_>, progress: &mut Progress| {
        let state = RunState::new(&config, &data, progress.counters());
        dir.write_quarantine(&state.quarantine)?;
        let checkpoint = Checkpoint { state, model: state::export(model), optimizer: optimizer.export() };
        dir.checkpoints().save(&checkpoint, config.keep_checkpoints)?;
        progress.restart_clock();
        anyhow::Ok(())
    };

    loop {
        if let Some(epoch) = progress.epoch_to_report() {
            let knn = data.knn.as_ref().filter(|_| config.knn_is_due(epoch));
            let top1 = knn
                .map(|knn| knn_accuracy(&model.encoder, dev, knn, &config, &interrupt))
                .transpose()?
                .flatten();
            if !interrupt.is_set() {
                progress.epoch_ended(top1)?;
                save(&model, &optimizer, &mut progress)?;
            }
        }
        if interrupt.is_set() {
            save(&model, &optimizer, &mut progress)?;
            return Ok(Outcome::Interrupted(progress.counters().clone()));
        }
        if progress.is_finished() {
            return Ok(Outcome::Finished(progress.counters().clone()));
        }

        let waiting = Instant::now();
        let batch = batches.next().context("the pipeline ended before its last epoch")??;
        let waited = waiting.elapsed();
        let rates = schedule.at(progress.step());

        let view1 = model.forward_mut(images_from(dev, batch.view(0)).traced(gradients));
        let view2 = model.forward_mut(images_from(dev, batch.view(1)).leaky_traced());
        let spreads = [Spread::of(&view1.z), Spread::of(&view2.z)];
        let loss = symmetric_loss(view1, view2, targets);
        let loss_value = f64::from(loss.array());
        ensure!(loss_value.is_finite(), "diverged: the loss is {loss_value} at step {}", progress.step() + 1);
        gradients = loss.backward();
        optimizer.update(&mut model, &mut gradients, rates)?;
        model.zero_grads(&mut gradients);

        let images = batch.len();
        progress.stepped(&StepReport { loss: loss_value, spreads, rates, images, waited })?;
        if progress.step().is_multiple_of(config.checkpoint_every) {
            save(&model, &optimizer, &mut progress)?;
        }
    }
}
