//! Layers: parameters with shapes known at compile time, and an operation on dfdx's tape.

mod conv2d;
pub use conv2d::Conv2d;

mod batch_norm;
pub use batch_norm::{BatchNorm1d, BatchNorm2d, RunningStatistics};

mod conv_bn;
pub use conv_bn::ConvBn;

mod pool;
pub use pool::{MaxPool2d, global_avg_pool};

mod linear;
pub use linear::Linear;

pub use crate::backend::Activation;
