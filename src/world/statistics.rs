use anyhow::{Result, anyhow};
use simsiam_model::network::Network;
use simsiam_model::{Backend, NamedTensors};

use super::World;
use crate::config::TrainConfig;

impl World {
    /// Gives all ranks the first one's running statistics of batch norm, where each has those of its own images: before the network is
    /// judged or saved, so that it is the same one everywhere.
    ///
    /// # Errors
    /// If the device fails.
    pub fn even_statistics<D: Backend>(&self, model: &mut Network<D>, config: &TrainConfig) -> Result<()> {
        if config.sync_bn || self.size() == 1 {
            return Ok(());
        }
        let mut own = Vec::new();
        model.visit("", &mut |_, is_parameter, tensor| {
            if !is_parameter {
                own.extend(tensor.values());
            }
        });
        let all = self.ranks.all_gather(&own);
        let mut first = &all[..own.len()];
        let taken = model.visit_mut("", &mut |_, is_parameter, tensor| {
            if !is_parameter {
                let (values, later) = first.split_at(tensor.sizes().iter().product());
                tensor.replace(values);
                first = later;
            }
            Ok(())
        });
        taken.map_err(|error| anyhow!("the device failed: {error}"))
    }
}
