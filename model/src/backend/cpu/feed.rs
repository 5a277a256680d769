use std::time::{Duration, Instant};

use dfdx::prelude::*;

use crate::backend::FeedKernel;

impl FeedKernel for Cpu {
    type Sent = std::vec::IntoIter<Vec<f32>>;
    type Moment = Instant;
    const AHEAD: bool = false;

    fn send(views: &[&[f32]]) -> Result<Self::Sent, Self::Err> {
        Ok(views.iter().map(|view| view.to_vec()).collect::<Vec<_>>().into_iter())
    }

    fn receive<S: Shape>(&self, sent: &mut Self::Sent, shape: S) -> Result<Tensor<S, f32, Self>, Self::Err> {
        self.try_tensor_from_vec(sent.next().expect("a view is left"), shape)
    }

    fn done() -> Result<Instant, Self::Err> {
        Ok(Instant::now())
    }

    fn arrived(_: &Self::Sent) -> Result<Instant, Self::Err> {
        Ok(Instant::now())
    }

    fn between(from: &Instant, to: &Instant) -> Result<Duration, Self::Err> {
        Ok(to.duration_since(*from))
    }
}
