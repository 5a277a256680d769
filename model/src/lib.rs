//! Shape-checked SimSiam on dfdx: layers, encoders, objectives and kernels.
//!
//! Code map, in reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`tensors`] | the two tensor types that flow, [`Images`] and [`Features`], and the images' format |
//! | [`module`] | what a network is: [`Module`] (built from a generator of initial values) and [`NamedTensors`] |
//! | [`layers`] | convolution, batch norm, pooling, linear; each checks its shapes when it is compiled |
//! | [`encoders`] | ResNets for 32 x 32 and for photographs behind one trait, [`Encoder`] |
//! | [`heads`], [`branch`] | projector and predictor; encoder and projector together: [`Branch`] |
//! | [`methods`] | SimSiam and its relatives behind one trait, [`Method`](methods::Method) |
//! | [`objective`] | what they minimise, one equation a file, and how outputs spread |
//! | [`network`], [`arch`] | every encoder with every method by name, compiled here once |
//! | [`optim`] | SGD with momentum, LARS and AdamW, and one learning rate for the predictor |
//! | [`state`] | named values out of and into a network, for checkpoints |
//! | [`init`] | the generator of initial values, a stream per parameter name |
//! | [`collective`] | several processes on one network, each with a share of the batch |
//! | [`backend`] | the operations that a device must offer, and dfdx's `Cpu` offering them |
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
