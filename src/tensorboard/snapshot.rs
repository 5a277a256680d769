//! What TensorBoard is shown at an epoch's end: views, and features of some images.

use anyhow::Result;
use simsiam_model::Backend;
use simsiam_model::network::Network;

use super::TensorBoard;
use crate::config::TrainConfig;
use crate::data::Data;
use crate::evaluate::features::Extractor;
use crate::evaluate::frozen::FrozenEncoder;
use crate::evaluate::samples::Samples;
use crate::interrupt::{Interrupt, Interrupted};
use crate::preview::Preview;
use crate::preview::sheet::sheet;

/// Images whose views are shown.
const VIEWED: usize = 8;
/// Images whose features are shown.
const EMBEDDED: usize = 1000;

impl TensorBoard {
    /// Writes the views of the first images of the epoch that `step` belongs to, and the features of some validation images, or of
    /// training images where there are none. Does nothing if the user asked to stop.
    ///
    /// # Errors
    /// If the data cannot be read, the features are not finite, or a file cannot be written.
    pub fn snapshot<D: Backend>(
        &mut self,
        model: &Network<D>,
        data: &Data,
        config: &TrainConfig,
        step: u64,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let encoder = &FrozenEncoder::new(model.features(), |images| model.encode(images));
        let extractor =
            Extractor { encoder, recipe: &config.recipe, workers: config.workers.count(), interrupt };
        let source = data.knn.as_ref().map_or(&data.train, |knn| &knn.queries);
        let samples = match Samples::of(&extractor, source, EMBEDDED) {
            Err(error) if error.is::<Interrupted>() => return Ok(()),
            samples => samples?,
        };
        let views = Preview::of_epoch(config, data, step.saturating_sub(1), VIEWED)?;
        self.images(step, &sheet(&views), &samples)
    }
}
