//! The named sets of values, as they stand in the papers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use simsiam_model::arch::Arch;
use simsiam_pipeline::decode::probe;
use simsiam_pipeline::shards::Labels;
use simsiam_pipeline::{Recipe, ShardSet};

use super::{
    BadSamplePolicy, Device, HeadNorm, Method, OnCollapse, Optimizer, Predictor, PredictorLr, Shuffle,
    Similarity, Symmetry, Target, TrainConfig, Workers,
};

/// A named set of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// ResNet-50 at 224 (Chen & He 2021, section 3; facebookresearch/simsiam).
    Imagenet,
    /// ResNet-18 with the CIFAR stem at 32 (appendix D).
    Cifar10,
    /// ResNet-18 with the CIFAR stem at a quarter of the width, for CIFAR-10 on two cores in two hours.
    Cifar10Small,
    /// ResNet-8 at 32 on procedural images, for two or three minutes on a small machine.
    Demo,
}

impl Preset {
    /// The preset for images of a size that the encoder is compiled for.
    pub fn for_arch(arch: Arch) -> Self {
        if arch.sizes().contains(&32) { Self::Cifar10 } else { Self::Imagenet }
    }

    /// The preset for images like the first of the shards that can be read: `cifar10` up to 64 pixels a side, else `imagenet`; that also
    /// where none of the first can.
    pub fn for_images(shards: &ShardSet) -> Self {
        const TRIED: u64 = 16;
        let sides = |sample| {
            let info = probe(&shards.read(sample).ok()?.bytes).ok()?;
            Some(info.width.max(info.height))
        };
        match (0..shards.len().min(TRIED)).find_map(sides) {
            Some(0..=64) => Self::Cifar10,
            _ => Self::Imagenet,
        }
    }
}

impl TrainConfig {
    /// A preset as it stands in the papers; their sources are named with each.
    pub fn preset(preset: Preset) -> Self {
        match preset {
            Preset::Imagenet => Self::imagenet(),
            Preset::Cifar10 => Self::cifar10(),
            Preset::Cifar10Small => Self::cifar10_small(),
            Preset::Demo => Self::demo(),
        }
    }

    /// Chen & He 2021, section 3 and the released code.
    fn imagenet() -> Self {
        Self {
            preset: Preset::Imagenet,
            shards: Vec::new(),
            val_shards: Vec::new(),
            absolute_shards: Vec::new(),
            absolute_val_shards: Vec::new(),
            labels: Labels::Own,
            cache_dir: None,
            cache_size: None,
            select: None,
            fraction: None,
            limit: None,
            shuffle: Shuffle::Whole,
            method: Method::default(),
            arch: Arch::Resnet50,
            epochs: 100,
            batch_size: 512,
            accumulate: 1,
            zero_init_residual: true,
            sync_bn: true,
            deterministic: false,
            seed: 0,
            device: Device::Cpu,
            precision: None,
            workers: Workers::Auto,
            base_lr: 0.05,
            warmup_epochs: 0,
            optimizer: Optimizer::Sgd,
            momentum: 0.9,
            weight_decay: 1e-4,
            predictor_lr: PredictorLr::Constant,
            projector_layers: 3,
            projector_dim: 2048,
            mlp_bn: HeadNorm::Default,
            predictor: Predictor::Mlp,
            stop_gradient: true,
            similarity: Similarity::Cosine,
            symmetry: Symmetry::Symmetric,
            target: Target::Online,
            target_momentum: None,
            alternate_steps: None,
            temperature: None,
            queue: None,
            method_settings: BTreeMap::new(),
            on_collapse: OnCollapse::Warn,
            knn_every: None,
            stop_when: Vec::new(),
            online_probe: false,
            knn_k: 200,
            knn_temperature: 0.1,
            bad_sample_budget: 0.01,
            on_bad_sample: BadSamplePolicy::Skip,
            log_every: 10,
            checkpoint_every: 1000,
            keep_checkpoints: 1,
            recipe: Recipe::imagenet(),
        }
    }

    /// Chen & He 2021, appendix D.
    fn cifar10() -> Self {
        Self {
            preset: Preset::Cifar10,
            arch: Arch::Resnet18Cifar,
            epochs: 800,
            base_lr: 0.03,
            weight_decay: 5e-4,
            projector_layers: 2,
            recipe: Recipe::cifar10(),
            ..Self::imagenet()
        }
    }

    /// The CIFAR recipe for a processor: few passes, so small batches, four times the rate, and a narrow network and head. Tried on
    /// 10,000 images and three epochs, a projector of 2048 learned as much, half the batch or a residual block that does not begin as the
    /// identity less.
    fn cifar10_small() -> Self {
        Self {
            preset: Preset::Cifar10Small,
            arch: Arch::Resnet18CifarW16,
            epochs: 22,
            batch_size: 128,
            base_lr: 0.12,
            projector_dim: 512,
            ..Self::cifar10()
        }
    }

    /// The CIFAR recipe at the size of a coffee break: few images make few steps, so they are larger; and 200
    /// neighbours would be 40 % of a class.
    fn demo() -> Self {
        Self {
            preset: Preset::Demo,
            arch: Arch::Resnet8,
            epochs: 12,
            batch_size: 64,
            base_lr: 0.25,
            knn_k: 20,
            ..Self::cifar10()
        }
    }
}
