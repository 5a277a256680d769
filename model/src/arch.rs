//! The encoders by name, and the image sizes that [`network`](crate::network) compiles them for.

use std::fmt;

use dfdx::prelude::Cpu;

use crate::backend::Backend;
use crate::encoders::{
    AnySize, Backbone, Encoder, ResNet8, ResNet18, ResNet18Cifar, ResNet18CifarW16, ResNet18CifarW32,
    ResNet20, ResNet34, ResNet50, any_size,
};
use crate::init::InitRng;
use crate::methods::{Method, MethodName, Settings};
use crate::module::{Module, NamedTensors};
use crate::tensors::{Features, Taped, View};

/// The table of encoders: name, network, channels of its features, heights and widths of images that it is compiled for,
/// and the MiB that a training step takes for each image of the last of these sizes on the CPU in single precision, from
/// peaks that `bench --stage train` prints.
macro_rules! encoders {
    ($($(#[$about:meta])* $arch:ident = $name:literal: $net:ident, $features:literal, [$($size:literal),+], $mib:literal;)+) => {
        /// An encoder's name, as on the command line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum Arch {
            $(
                $(#[$about])*
                #[cfg_attr(feature = "clap", value(name = $name))]
                #[cfg_attr(feature = "serde", serde(rename = $name))]
                $arch,
            )+
        }

        $(any_size!($net, $features, [$($size),+]);)+

        impl Arch {
            /// All of them.
            pub const ALL: &[Arch] = &[$(Arch::$arch),+];

            /// Heights and widths of the images that it is compiled for, in ascending order.
            pub fn sizes(self) -> &'static [usize] {
                match self {
                    $(Arch::$arch => &[$($size),+],)+
                }
            }

            fn name(self) -> &'static str {
                match self {
                    $(Arch::$arch => $name,)+
                }
            }

            fn mib_at_largest(self) -> f64 {
                match self {
                    $(Arch::$arch => $mib,)+
                }
            }

            /// Names and shapes of its tensors, running statistics included, in order.
            pub fn tensors(self) -> Vec<(String, Vec<usize>)> {
                let (dev, rng) = (Cpu::default(), InitRng::blank());
                match self {
                    $(Arch::$arch => names_and_shapes(&<$net<Cpu> as Module<Cpu>>::new(&dev, &rng)),)+
                }
            }

            /// A method on the encoder, whose full-size images are of this size; `None` if it is not compiled for it.
            pub(crate) fn under<D: Backend>(
                self,
                size: usize,
                method: MethodName,
                settings: &Settings,
                dev: &D,
                rng: &InitRng,
            ) -> Option<Box<dyn Method<D>>> {
                if !self.sizes().contains(&size) {
                    return None;
                }
                let encoder_rng = rng.child("encoder");
                Some(match self {
                    $(Arch::$arch => {
                        let encoder = Backbone::<$features, D>::new::<$net<D>>(size, dev, &encoder_rng);
                        method.on(encoder, dev, settings, rng)
                    })+
                })
            }
        }
    };
}

encoders! {
    /// He et al.'s CIFAR ResNet with 8 layers.
    Resnet8 = "resnet8": ResNet8, 64, [16, 32], 1.0;
    /// He et al.'s CIFAR ResNet with 20 layers.
    Resnet20 = "resnet20": ResNet20, 64, [16, 32], 3.0;
    /// ResNet-18 with a 3 x 3 stem and no max-pooling, at a quarter of the width: 16 to 128 channels.
    Resnet18CifarW16 = "resnet18-cifar-w16": ResNet18CifarW16, 128, [16, 32, 64], 9.0;
    /// ResNet-18 with a 3 x 3 stem and no max-pooling, at half of the width: 32 to 256 channels.
    Resnet18CifarW32 = "resnet18-cifar-w32": ResNet18CifarW32, 256, [16, 32, 64], 18.0;
    /// ResNet-18 with a 3 x 3 stem and no max-pooling.
    Resnet18Cifar = "resnet18-cifar": ResNet18Cifar, 512, [16, 32, 64], 36.0;
    /// ResNet-18.
    Resnet18 = "resnet18": ResNet18, 512, [64, 96, 128, 160, 224], 41.0;
    /// ResNet-34.
    Resnet34 = "resnet34": ResNet34, 512, [64, 96, 128, 160, 224], 60.0;
    /// ResNet-50, stride on the 3 x 3 convolution.
    Resnet50 = "resnet50": ResNet50, 2048, [64, 96, 128, 160, 224], 165.0;
}

impl Arch {
    /// The size of small crops for full-size images of `size`: the largest compiled size up to half of it, if there is
    /// one. For 224 this is SwAV's 96.
    pub fn small_size(self, size: usize) -> Option<usize> {
        self.sizes().iter().copied().filter(|small| 2 * small <= size).max()
    }

    /// Memory of a training step per image, for two views of this size on the CPU in single precision, in MiB.
    pub fn mib_an_image(self, size: usize) -> f64 {
        let largest = self.sizes()[self.sizes().len() - 1];
        let scale = size as f64 / largest as f64;
        self.mib_at_largest() * scale * scale
    }
}

fn names_and_shapes(encoder: &dyn NamedTensors<Cpu>) -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    encoder.visit("", &mut |name, _, tensor| tensors.push((name.to_owned(), tensor.sizes())));
    tensors
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
