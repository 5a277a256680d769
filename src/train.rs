//! The training loop, top to bottom: Algorithm 1 of Chen & He 2021 on batches from the pipeline, for every method.

use anyhow::{Context, Result, anyhow};
use dfdx::prelude::*;
use simsiam_model::methods::StepLoss;
use simsiam_model::network::Network;
use simsiam_model::objective::Loss;
use simsiam_model::{Backend, NamedTensors, Optimizer, gradient_norms, state};

use crate::checkpoint::{Checkpoint, RunState, folder};
use crate::config::{OnCollapse, TrainConfig};
use crate::data::Data;
use crate::error::Diverged;
use crate::evaluate::knn_accuracy;
use crate::feed::{Fed, Feed};
use crate::health::Health;
use crate::interrupt::Interrupt;
use crate::online_probe::OnlineProbe;
use crate::progress::{Counters, InFlight, Progress, StepInFlight};
use crate::provenance::Provenance;
use crate::run_dir::RunDir;
use crate::schedule::Schedule;
use crate::trace::timed;
use crate::world::{News, World};

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
    /// This process, for its checkpoints.
    pub provenance: Provenance,
    /// The processes that train together.
    pub world: World,
    /// Steps after which it ends as if it were interrupted, for a trial.
    pub stop_after: Option<u64>,
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
    model: &mut Network<D>,
    run: &mut Run,
    resumed: Option<Checkpoint>,
) -> Result<Outcome> {
    let Run { config, data, dir, interrupt, progress, provenance, world, stop_after } = run;
    model.join(&world.ranks_of(config));
    let mut optimizer = Optimizer::new(config.optimizer_config());
    let mut probe = OnlineProbe::of(config, &data.train, model.features())?;
    if let Some(checkpoint) = resumed {
        state::import(model, &checkpoint.model).context("the checkpoint's model")?;
        optimizer.import(model, &checkpoint.optimizer).context("the checkpoint's optimizer")?;
        // Weights that were imported come without one.
        if let Some(probe) = probe.as_mut().filter(|_| !checkpoint.probe.is_empty()) {
            probe.import(&checkpoint.probe).context("the checkpoint's online probe")?;
        }
    }
    if probe.is_some() {
        model.take_features(); // from here on, the network keeps them
    }
    let mut gradients = model.alloc_grads();
    let batches = data.batches(config, progress.step(), Feed::<D>::DTYPE)?;
    progress.watch(batches.gauges());
    let steps_per_epoch = batches.steps_per_epoch() / config.accumulate;
    let schedule = Schedule::new(config, steps_per_epoch);
    let total_steps = config.epochs * steps_per_epoch;
    let mut feed = Feed::<D>::start(batches, model.view_sizes().len(), &config.recipe)?;
    let save = |model: &mut Network<D>,
                optimizer: &Optimizer<D>,
                probe: &Option<OnlineProbe>,
                progress: &mut Progress| {
        world.even_statistics(model, config)?;
        if dir.is_own() {
            let state = RunState::new(config, data, progress.counters(), provenance);
            dir.write_quarantine(&data.bad_samples())?;
            let probe = probe.as_ref().map_or_else(Vec::new, OnlineProbe::export);
            let checkpoint =
                Checkpoint { state, model: state::export(model), optimizer: optimizer.export(), probe };
            timed("checkpoint", || dir.checkpoints().save(&checkpoint, config.keep_checkpoints))?;
        }
        progress.restart_clock();
        anyhow::Ok(())
    };

    let failed = |error: D::Err| anyhow!("the device failed: {error}");

    let mut in_flight = InFlight::<D>::default();
    let mut news = News::new(world, interrupt, data);
    news.exchange()?;
    loop {
        if let Some(epoch) = progress.epoch_to_report() {
            world.even_statistics(model, config)?;
            let knn = data.knn.as_ref().filter(|_| config.knn_is_due(epoch));
            let evaluate =
                |knn| knn_accuracy(model, knn, config, interrupt, world.ranks(), progress.console());
            let top1 = knn.map(|knn| timed("evaluation", || evaluate(knn)));
            let top1 = top1.transpose();
            if top1.as_ref().is_err_and(|error| error.is::<Diverged>()) {
                progress.diverged()?;
            }
            let top1 = top1?.flatten();
            news.exchange()?;
            if !news.stops() {
                progress.epoch_ended(top1)?;
                progress.snapshot(model, data, interrupt)?;
                save(model, &optimizer, &probe, progress)?;
            }
        }
        if news.stops() || *stop_after == Some(progress.step()) {
            save(model, &optimizer, &probe, progress)?;
            return Ok(Outcome::Interrupted(progress.counters().clone()));
        }
        if progress.health() == Health::Collapsed && config.on_collapse == OnCollapse::Stop {
            save(model, &optimizer, &probe, progress)?;
            return Ok(Outcome::Collapsed(progress.counters().clone()));
        }
        if progress.is_finished() {
            return Ok(Outcome::Finished(progress.counters().clone()));
        }
        if let Some((_, reason)) = progress.stopped_by() {
            save(model, &optimizer, &probe, progress)?;
            return Ok(Outcome::StoppedEarly(progress.counters().clone(), reason));
        }

        let rates = schedule.at(progress.step());
        let mut step = StepInFlight::new(progress.step() + 1, rates);
        for batch in 0..config.accumulate {
            let idle = D::done().map_err(failed)?;
            let fed = timed("wait for data", || feed.next());
            let Fed { views, samples, labels } =
                match fed.context("the pipeline ended before its last epoch")? {
                    // Between two steps, and where no rank waits for another, the steps so far need not be lost.
                    Err(error) if batch == 0 && world.size() == 1 => {
                        progress.measured(&in_flight.read().map_err(failed)?)?;
                        match save(model, &optimizer, &probe, progress) {
                            Ok(()) => {
                                progress.console().line(format_args!("saved {}", folder(progress.step())));
                            }
                            Err(unsaved) => tracing::warn!("the steps so far are not saved: {unsaved:#}"),
                        }
                        return Err(error);
                    }
                    fed => fed?,
                };
            let arrived = D::arrived(&views).map_err(failed)?;
            if batch + 1 == config.accumulate {
                model.sum_in_backward();
            }
            let StepLoss { loss, measures, equal_loss } =
                timed("forward", || model.loss(views, &samples, gradients));
            step.add(measures, [idle, arrived]);
            step.report.equal_loss = equal_loss;
            step.report.images += world.size() * samples.len();
            gradients = timed("backward", || backward(loss, config.accumulate));
            if let Some(probe) = &mut probe {
                let learn = || probe.step(model.take_features(), &labels, world.ranks());
                step.report.probe_top1.push(timed("online probe", learn));
            }
        }
        timed("sum over ranks", || model.sum_gradients(&mut gradients)).map_err(failed)?;
        if progress.wants_gradients() {
            step.report.gradient_norms = gradient_norms(model, &gradients);
        }
        timed("update", || optimizer.update(model, &mut gradients, &rates)).map_err(failed)?;
        model.zero_grads(&mut gradients);
        progress.advance();
        model.end_step(progress.step(), progress.step() as f64 / total_steps as f64);

        in_flight.push(step);
        news.exchange()?;
        let is_asked = news.take_save();
        let saves = is_asked || progress.step().is_multiple_of(config.checkpoint_every);
        let ends = news.stops() || *stop_after == Some(progress.step());
        if saves || ends || progress.needs_measures() || in_flight.is_full() {
            let reports = timed("read measures", || in_flight.read()).map_err(failed)?;
            progress.measured(&reports)?;
        }
        if saves {
            save(model, &optimizer, &probe, progress)?;
        }
        if is_asked {
            progress.console().line(format_args!("saved {}", folder(progress.step())));
        }
    }
}

/// Adds the gradients of one of so many batches to those that its tape began with: all together, their mean.
fn backward<D: Backend>(loss: Loss<D>, batches: u64) -> Gradients<f32, D> {
    let loss = if batches == 1 { loss } else { loss * (1.0 / batches as f32) };
    loss.backward()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use simsiam_model::backend::{FeedKernel, Pixels};
    use simsiam_model::module::AnyTensor;
    use simsiam_model::{LearningRates, SgdConfig};

    use super::*;
    use crate::config::Preset;

    const IMAGES: usize = 4;

    #[test]
    fn an_update_of_two_batches_is_by_the_mean_of_their_gradients() {
        let config = TrainConfig { batch_size: IMAGES, ..TrainConfig::preset(Preset::Demo) };
        let network = || config.network(&Cpu::default(), 2 * IMAGES, 1);
        let alone = [0, 1].map(|batch| {
            let mut model = network();
            let gradients = model.alloc_grads();
            let gradients = pass(&mut model, batch, 1, gradients);
            parameters(&model, |tensor| tensor.gradient(&gradients))
        });

        let mut model = network();
        let mut gradients = model.alloc_grads();
        for batch in 0..2 {
            gradients = pass(&mut model, batch, 2, gradients);
        }
        let before = parameters(&model, |tensor| tensor.values());
        let mut sgd = Optimizer::new(SgdConfig { momentum: 0.0, weight_decay: 0.0 });
        sgd.update(&mut model, &mut gradients, &LearningRates::all(0.5)).unwrap();
        let after = parameters(&model, |tensor| tensor.values());

        for (name, found) in &after {
            let moved: Vec<f32> =
                before[name].iter().zip(found).map(|(before, after)| before - after).collect();
            let mean = |i: usize| 0.5 * 0.5 * (alone[0][name][i] + alone[1][name][i]);
            let largest = before[name].iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            let largest = (0..moved.len()).fold(largest, |largest, i| largest.max(mean(i).abs()));
            for (i, moved) in moved.iter().enumerate() {
                assert!((moved - mean(i)).abs() <= 1e-5 * largest, "{name}[{i}]: {moved}, not {}", mean(i));
            }
        }
        assert!(alone[0] != alone[1]);
    }

    fn pass(
        model: &mut Network<Cpu>,
        batch: usize,
        batches: u64,
        gradients: Gradients<f32, Cpu>,
    ) -> Gradients<f32, Cpu> {
        let view = |view: usize| -> Vec<f32> {
            let value = |i: usize| ((i * (7 + view) + i / 3072 * 101 * (batch + 1)) as f32 * 0.37).sin();
            (0..IMAGES * 3 * 32 * 32).map(value).collect()
        };
        let views = [view(0), view(1)];
        let sent = Cpu::send(&Pixels::Values(views.iter().map(Vec::as_slice).collect())).unwrap();
        backward(model.loss(sent, &[0, 1, 2, 3], gradients).loss, batches)
    }

    fn parameters(
        model: &Network<Cpu>,
        values: impl Fn(&dyn AnyTensor<Cpu>) -> Vec<f32>,
    ) -> BTreeMap<String, Vec<f32>> {
        let mut found = BTreeMap::new();
        model.visit("", &mut |name, is_parameter, tensor| {
            if is_parameter {
                found.insert(name.to_owned(), values(tensor));
            }
        });
        found
    }
}
