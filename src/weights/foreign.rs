//! Weights from elsewhere by this program's names; `docs/weights.md` has the table.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use dfdx::prelude::Cpu;
use simsiam_model::arch::Arch;
use simsiam_model::network::Network;
use simsiam_model::state::{self, NamedTensor, StateError};

use super::ENCODER;
use crate::config::{Overrides, Preset, TrainConfig};
use crate::error::InputError;
use crate::tensor_file::{self, TensorFileError};

/// The heads whose weights are taken where they fit.
const HEADS: [&str; 2] = ["projector.", "predictor."];

/// Weights of an encoder, and perhaps of its heads.
#[derive(Clone, Debug)]
pub struct ForeignWeights {
    /// The encoder's architecture.
    pub arch: Arch,
    /// By this program's names.
    tensors: BTreeMap<String, NamedTensor>,
    /// The file's name of each of them.
    origins: BTreeMap<String, String>,
    /// Tensors that mean nothing here, such as a classifier's.
    unknown: Vec<String>,
    /// What the file says besides.
    metadata: BTreeMap<String, String>,
}

/// What became of weights that were read into a network.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// The heads that were replaced too: `projector`, `predictor`.
    pub heads: Vec<&'static str>,
    /// Tensors that were used.
    pub used: usize,
    /// Tensors that were not.
    pub left_out: Vec<String>,
}

impl ForeignWeights {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// If it cannot be read, is no safetensors file, or holds no encoder of a known architecture.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |text: String| InputError::new(format!("{}: {text}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        Ok(Self::parse(&bytes).map_err(wrong)?)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let tensors = tensor_file::decode(bytes, |name| our_name(name).is_some());
        let tensors = tensors.map_err(|error| match error {
            TensorFileError::Format(_) => format!("{error}; docs/weights.md says how to make one of a .pth"),
            TensorFileError::Dtype { .. } => error.to_string(),
        })?;
        let names = tensor_file::names(bytes).map_err(|error| error.to_string())?;
        let unknown = names.into_iter().filter(|name| our_name(name).is_none()).collect();
        let (mut named, mut origins) = (BTreeMap::new(), BTreeMap::new());
        for tensor in tensors {
            let name = our_name(&tensor.name).expect("only those are read");
            if let Some(value) = tensor.data.iter().find(|value| !value.is_finite()) {
                return Err(format!("tensor \"{}\" holds {value}, as of a run that diverged", tensor.name));
            }
            if let Some(first) = origins.insert(name.clone(), tensor.name.clone()) {
                return Err(format!("tensors \"{first}\" and \"{}\" are the same layer's", tensor.name));
            }
            named.insert(name.clone(), NamedTensor { name, ..tensor });
        }
        let arch = arch_of(&named).ok_or(
            "holds no encoder that this program knows (expected tensors such as conv1.weight or encoder.conv1.weight of a ResNet)",
        )?;
        Ok(Self { arch, tensors: named, origins, unknown, metadata: tensor_file::metadata(bytes) })
    }

    /// A run's settings as far as the file has them: the architecture, its preset, and the images' size, mean and std where the
    /// metadata name them.
    ///
    /// # Errors
    /// If what they say makes no sense.
    pub fn settings(&self) -> Result<Overrides, InputError> {
        let wrong = |key: &str, text: &str| InputError::new(format!("its metadata says {key} = {text:?}"));
        let size = match self.metadata.get("size") {
            Some(text) => Some(text.parse().map_err(|_| wrong("size", text))?),
            None => None,
        };
        let mut recipe = toml::Table::new();
        for key in ["mean", "std"] {
            let Some(text) = self.metadata.get(key) else { continue };
            let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
            let numbers =
                numbers.ok().filter(|numbers| numbers.len() == 3).ok_or_else(|| wrong(key, text))?;
            recipe.insert(key.into(), numbers.into());
        }
        Ok(Overrides {
            preset: Some(Preset::for_arch(self.arch)),
            arch: Some(self.arch),
            size,
            recipe: Some(recipe).filter(|recipe| !recipe.is_empty()),
            ..Overrides::default()
        })
    }

    /// The configuration of a run with these [`settings`](Self::settings).
    ///
    /// # Errors
    /// If they make no sense.
    pub fn config(&self) -> Result<TrainConfig, InputError> {
        let config = TrainConfig::resolve(&self.settings()?)?;
        config.check_size()?;
        Ok(config)
    }

    /// Replaces a network's encoder, and each head that fits as a whole.
    ///
    /// # Errors
    /// If a tensor of the encoder is missing, has another shape, or is left over, as of a deeper one. Nothing has changed
    /// then.
    pub fn read_into(mut self, network: &mut Network<Cpu>) -> Result<Taken, StateError> {
        let mut own = state::export(network);
        self.fold_biases(&own);
        let fits =
            |own: &NamedTensor| self.tensors.get(&own.name).is_some_and(|tensor| tensor.shape == own.shape);
        let heads: Vec<_> = HEADS
            .into_iter()
            .filter(|head| own.iter().filter(|own| own.name.starts_with(head)).all(fits))
            .filter(|head| {
                // As many here as there: neither none nor the first layers of more.
                let own = own.iter().filter(|own| own.name.starts_with(head)).count();
                own > 0 && own == self.tensors.keys().filter(|name| name.starts_with(head)).count()
            })
            .collect();
        let taken = |name: &str| name.starts_with(ENCODER) || heads.iter().any(|head| name.starts_with(head));
        for own in &mut own {
            // A network that follows the first begins as its copy.
            let name = own.name.strip_prefix("target.").unwrap_or(&own.name);
            if taken(name) {
                let tensor = self.tensors.get(name).ok_or_else(|| StateError::Missing(name.to_owned()))?;
                *own = NamedTensor { name: own.name.clone(), ..tensor.clone() };
            }
        }
        self.tensors.retain(|name, _| !own.iter().any(|own| own.name == *name && taken(name)));
        if let Some(deeper) = self.tensors.keys().find(|name| name.starts_with(ENCODER)) {
            return Err(StateError::Unknown(deeper.clone()));
        }
        state::import(network, &own)?;
        let used = self.origins.len() - self.tensors.len();
        let idle = self.tensors.into_keys().map(|name| self.origins.remove(&name).unwrap_or(name));
        let left_out = idle.chain(self.unknown).collect();
        let heads = heads.into_iter().map(|head| head.trim_end_matches('.')).collect();
        Ok(Taken { heads, used, left_out })
    }

    /// A bias before batch norm changes nothing but the mean that is taken from it, and the networks here have none there:
    /// `(Wx + b) - mean = Wx - (mean - b)`. The projector of facebookresearch/simsiam ends in such a layer.
    fn fold_biases(&mut self, own: &[NamedTensor]) {
        let means = own.iter().filter_map(|tensor| tensor.name.strip_suffix(".running_mean"));
        for norm in means.filter(|norm| HEADS.iter().any(|head| norm.starts_with(head))) {
            let Some(bias) = bias_before(norm).filter(|bias| own.iter().all(|own| own.name != *bias)) else {
                continue;
            };
            let Some(mean) = self.tensors.get(&format!("{norm}.running_mean")) else { continue };
            let mut mean = mean.clone();
            if let Some(bias) = self.tensors.remove(&bias).filter(|bias| bias.shape == mean.shape) {
                mean.data.iter_mut().zip(bias.data).for_each(|(mean, bias)| *mean -= bias);
                self.tensors.insert(mean.name.clone(), mean);
            }
        }
    }
}

/// The name of the bias of the layer before a batch norm in a `Sequential`: `projector.6.bias` for `projector.7`.
fn bias_before(norm: &str) -> Option<String> {
    let (head, place) = norm.rsplit_once('.')?;
    Some(format!("{head}.{}.bias", place.parse::<usize>().ok()?.checked_sub(1)?))
}

/// This program's name of a tensor; `None` for those of a classifier, MoCo's queue and others that mean nothing here.
fn our_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("module.").unwrap_or(name);
    // Not `num_batches_tracked`: PyTorch counts batches, in integers, for an average that no network here uses.
    const KINDS: [&str; 4] = [".weight", ".bias", ".running_mean", ".running_var"];
    if !KINDS.iter().any(|kind| name.ends_with(kind)) {
        return None;
    }
    let of_moco = name.strip_prefix("encoder_q.").map(|layer| format!("{ENCODER}{layer}"));
    let name = of_moco.as_deref().unwrap_or(name);
    if let Some(layer) = name.strip_prefix("encoder.fc.") {
        return Some(format!("projector.{layer}"));
    }
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&[ENCODER]) || starts(&HEADS) {
        Some(name.to_owned())
    } else if starts(&["conv1.", "bn1.", "layer"]) {
        Some(format!("{ENCODER}{name}"))
    } else {
        None
    }
}

/// The architecture that has the most of these tensors, by name and shape, the stem among them; of two with as many, the
/// smaller.
fn arch_of(tensors: &BTreeMap<String, NamedTensor>) -> Option<Arch> {
    let is_here = |name: &str, shape: &[usize]| {
        tensors.get(&format!("{ENCODER}{name}")).is_some_and(|tensor| tensor.shape == shape)
    };
    let common = |arch: &Arch| {
        let own = arch.tensors();
        let has_stem = own.iter().take(1).all(|(name, shape)| is_here(name, shape));
        let count = own.iter().filter(|(name, shape)| is_here(name, shape)).count();
        (has_stem.then_some(count), std::cmp::Reverse(own.len()))
    };
    let best = Arch::ALL.iter().map(|arch| (common(arch), *arch)).max_by_key(|(common, _)| *common);
    best.filter(|((count, _), _)| count.is_some()).map(|(_, arch)| arch)
}

#[cfg(test)]
mod tests;
