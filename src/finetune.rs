//! Fine-tuning: a classifier trained end to end, encoder included, on a share of the labels; from an encoder that has
//! learned without them, or from scratch.
//!
//! The recipe is that of Chen et al. 2020 ("A simple framework", appendix B.5) for 1 % and 10 % of ImageNet's labels: crops and
//! flips alone, SGD with momentum 0.9, a learning rate of 0.05 at a batch of 256, no weight decay, 60 and 30 epochs. The
//! rate falls here as a cosine.

use anyhow::{Result, anyhow, ensure};
use dfdx::prelude::*;
use serde::Serialize;
use simsiam_model::backend::{FeedKernel, Pixels};
use simsiam_model::network::Network;
use simsiam_model::{LearningRates, Sgd, SgdConfig, zero_grads};
use simsiam_pipeline::{PipelineConfig, Recipe};

use crate::console::{Console, Unit};
use crate::data::Source;
use crate::evaluate::features::{Extractor, LabelledFeatures};
use crate::evaluate::frozen::FrozenEncoder;
use crate::evaluate::probe::head::Head;
use crate::evaluate::probe::optimizer::Optimizer;
use crate::evaluate::probe::recipe::ProbeRecipe;
use crate::evaluate::scores::Verdict;
use crate::interrupt::Interrupt;

/// How a classifier is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FinetuneRecipe {
    /// Passes over the labelled images.
    pub epochs: u64,
    /// Images a step; the learning rate follows it.
    pub batch_size: usize,
    /// Learning rate at a batch of 256.
    pub base_lr: f64,
    /// L2 penalty on the encoder's parameters.
    pub weight_decay: f64,
}

impl FinetuneRecipe {
    /// The recipe for a share of the labels.
    pub fn for_share(share: f64) -> Self {
        let epochs = match share {
            _ if share <= 0.02 => 60,
            _ if share <= 0.2 => 30,
            _ => 20,
        };
        Self { epochs, batch_size: 64, base_lr: 0.05, weight_decay: 0.0 }
    }
}

/// What a classifier is trained and judged on.
pub struct Finetuning<'a> {
    /// The labelled images.
    pub train: &'a Source,
    /// The images to classify.
    pub val: &'a Source,
    /// How images are made for the encoder.
    pub views: &'a Recipe,
    /// Classes.
    pub classes: usize,
    /// Decoding threads.
    pub workers: usize,
    /// How it is trained.
    pub recipe: FinetuneRecipe,
    /// Ends it with an error.
    pub interrupt: &'a Interrupt,
    /// Where its progress is shown.
    pub console: &'a Console,
}

impl Finetuning<'_> {
    /// Trains `network`'s encoder and a new linear classifier, and classifies the validation images. The result is a function
    /// of the network, the data, the recipe and `seed`.
    ///
    /// # Errors
    /// If the data fails, the loss is no longer a number, or the user asked to stop.
    pub fn run(&self, mut network: Network<Cpu>, seed: u64, what: &str) -> Result<Vec<Verdict>> {
        let head = self.train(&mut network, seed, what)?;
        let encoder = FrozenEncoder::new(network.features(), move |images| network.encode(images));
        let Self { views, workers, interrupt, .. } = *self;
        let extractor = Extractor { encoder: &encoder, recipe: views, workers, interrupt };
        let phase =
            self.console.phase(format!("{what}: classifying"), self.val.len(), Unit::Things("images"));
        let features: LabelledFeatures = extractor.collect(self.val, &phase)?;
        Ok(head.judge(&features))
    }

    fn train(&self, network: &mut Network<Cpu>, seed: u64, what: &str) -> Result<Head> {
        let Self { recipe, .. } = *self;
        let batch_size = recipe.batch_size.min(self.train.len() as usize);
        let pipeline = PipelineConfig {
            views: 1,
            epochs: 0..recipe.epochs,
            workers: self.workers,
            ..PipelineConfig::training(self.views.crop_and_flip(), batch_size, seed)
        };
        let pipeline = self.train.pipeline(pipeline);
        let batches =
            simsiam_pipeline::start(self.train.shards.clone(), self.train.quarantine.clone(), &pipeline)?;
        let steps = recipe.epochs * (self.train.len() / batch_size as u64);
        let images = steps * batch_size as u64;
        let phase = self.console.phase(format!("{what}: training"), images, Unit::Things("images"));

        let mut head = Head::new(network.features(), self.classes, seed);
        let mut head_optimizer = Optimizer::new(&ProbeRecipe::sgd(), &head);
        let mut optimizer = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: recipe.weight_decay as f32 });
        let mut gradients = Gradients::leaky();
        zero_grads(network.encoder_mut(), &mut gradients);
        for (step, batch) in batches.enumerate() {
            self.interrupt.check()?;
            let batch = batch?;
            let labels: Vec<u32> =
                batch.labels().map(|label| label.expect("labels were checked at the start")).collect();
            let sent = Cpu::send(&Pixels::Values(vec![batch.view(0)])).map_err(|error| anyhow!("{error}"))?;
            let encoded = network.encode_mut(sent, batch.len(), gradients);
            let (loss, of_head, of_features) = head.loss_through(&encoded.features, &labels);
            ensure!(
                loss.is_finite(),
                "{what}: the loss is {loss} in step {step}: a lower --base-lr may help ({})",
                recipe.base_lr
            );
            let progress = step as f64 / steps as f64;
            let rate = recipe.base_lr * batch_size as f64 / 256.0
                * 0.5
                * (1.0 + libm::cos(std::f64::consts::PI * progress));
            gradients = encoded.backward(of_features);
            head_optimizer.update(&mut head, of_head, rate as f32);
            let rates = LearningRates::all(rate as f32);
            optimizer
                .update(network.encoder_mut(), &mut gradients, &rates)
                .map_err(|error| anyhow!("{error}"))?;
            zero_grads(network.encoder_mut(), &mut gradients);
            phase.inc(labels.len() as u64);
        }
        Ok(head)
    }
}
