//! The encoders by name, and the sizes that [`network`](crate::network) compiles them for.

use std::fmt;

/// An encoder's name, as on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Arch {
    /// He et al.'s CIFAR ResNet with 8 layers.
    Resnet8,
    /// He et al.'s CIFAR ResNet with 20 layers.
    Resnet20,
    /// ResNet-18 with a 3 x 3 stem and no max-pooling.
    Resnet18Cifar,
    /// ResNet-18.
    Resnet18,
    /// ResNet-34.
    Resnet34,
    /// ResNet-50, stride on the 3 x 3 convolution.
    Resnet50,
}

impl Arch {
    /// All of them.
    pub const ALL: [Arch; 6] =
        [Arch::Resnet8, Arch::Resnet20, Arch::Resnet18Cifar, Arch::Resnet18, Arch::Resnet34, Arch::Resnet50];

    /// Height and width of the images that it is compiled for.
    pub fn size(self) -> usize {
        match self {
            Arch::Resnet8 | Arch::Resnet20 | Arch::Resnet18Cifar => 32,
            Arch::Resnet18 | Arch::Resnet34 | Arch::Resnet50 => 224,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arch::Resnet8 => "resnet8",
            Arch::Resnet20 => "resnet20",
            Arch::Resnet18Cifar => "resnet18-cifar",
            Arch::Resnet18 => "resnet18",
            Arch::Resnet34 => "resnet34",
            Arch::Resnet50 => "resnet50",
        })
    }
}
