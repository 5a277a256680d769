use std::time::{Duration, Instant};

use dfdx::prelude::*;

use crate::backend::{FeedKernel, Levels, Pixels, ViewBytes};

impl FeedKernel for Cpu {
    type Sent = std::vec::IntoIter<Vec<f32>>;
    type Moment = Instant;
    const AHEAD: bool = false;

    fn send(views: &Pixels<'_>) -> Result<Self::Sent, Self::Err> {
        let views: Vec<_> = match views {
            Pixels::Values(views) => views.iter().map(|view| view.to_vec()).collect(),
            Pixels::Bytes { views, levels } => views.iter().map(|view| values(view, levels)).collect(),
        };
        Ok(views.into_iter())
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

fn values(view: &ViewBytes<'_>, levels: &Levels) -> Vec<f32> {
    let mut values = Vec::with_capacity(view.bytes.len());
    for (plane, levels) in view.bytes.chunks_exact(view.plane).zip(levels.iter().cycle()) {
        values.extend(plane.iter().map(|&byte| levels[usize::from(byte)]));
    }
    values
}
