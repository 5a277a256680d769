//! Self-supervised learning on dfdx with shapes checked at compile time: layers, encoders, methods and kernels.
//!
//! Code map, in reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`tensors`] | the two tensor types between layers, [`Images`] and [`Features`], and the images' format |
//! | [`module`] | the traits of a network: [`Module`] (built from a generator of initial values) and [`NamedTensors`] |
//! | [`layers`] | convolution, batch norm, pooling, linear; each checks its shapes at compile time |
//! | [`encoders`] | ResNets for 32 x 32 images and for photographs, behind one trait, [`Encoder`] |
//! | [`heads`], [`branch`] | projector and predictor; encoder and projector together: [`Branch`] |
//! | [`methods`] | SimSiam and its relatives behind one trait, [`Method`](methods::Method) |
//! | [`objective`] | their losses, one equation per file, and the spread of the outputs |
//! | [`network`], [`arch`] | every encoder with every method by name, compiled once, here |
//! | [`optim`] | SGD with momentum, LARS and AdamW, with learning rates per group of parameters |
//! | [`state`] | export and import of a network's named values, for checkpoints |
//! | [`init`] | the generator of initial values, with a stream per parameter name |
//! | [`collective`] | several processes that train one network, each on a share of the batch |
//! | [`backend`] | the operations that a device must offer, with implementations for dfdx's `Cpu` and `Cuda` |
//!
//! Every layer records its own operation on dfdx's tape, so `loss.backward()` is dfdx's, and everything is generic
//! over one trait, [`Backend`].

pub mod tensors;

pub mod module;

pub mod layers;

pub mod encoders;

pub mod heads;

pub mod branch;

pub mod methods;

pub mod objective;

pub mod arch;

pub mod network;

pub mod optim;

pub mod state;

pub mod init;

pub mod backend;

pub mod collective;

pub use backend::Backend;
pub use branch::{Branch, Encoded};
pub use encoders::Encoder;
pub use module::{Module, NamedTensors, gradient_norms, zero_grads};
pub use objective::TargetGradient;
pub use optim::{AdamWConfig, LarsConfig, LearningRates, Optimizer, OptimizerConfig, Sgd, SgdConfig};
pub use tensors::{Features, Images, View, images_from};
