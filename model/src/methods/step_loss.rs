use dfdx::prelude::*;

use crate::backend::Backend;
use crate::objective::{Loss, Spread, SpreadSums};

/// The result of a training pass.
pub struct StepLoss<D: Backend> {
    /// The loss.
    pub loss: Loss<D>,
    /// Its value, and how the projections spread.
    pub measures: Measures<D>,
    /// The loss if all images had the same projection, for methods that push images apart: one that has learned
    /// something is below it. `None` if a collapse minimises the loss, so that the loss cannot detect it.
    pub equal_loss: Option<f64>,
}

impl<D: Backend> StepLoss<D> {
    /// A loss, with the spread of each full-size view's projections.
    pub(super) fn new(loss: Loss<D>, spreads: Vec<SpreadSums<D>>, equal_loss: Option<f64>) -> Self {
        let measures = Measures { loss: loss.retaped(), spreads };
        Self { loss, measures, equal_loss }
    }

    /// The measures as numbers. The caller waits for the device: a training loop reads those of several steps at once,
    /// by [`Measures::read`].
    ///
    /// # Errors
    /// If the device fails.
    pub fn measured(&self) -> Result<Measured, D::Err> {
        Ok(Measures::read([&self.measures])?.remove(0))
    }
}

/// What is measured of a training pass, as scalars on the device.
pub struct Measures<D: Backend> {
    loss: Tensor<Rank0, f32, D>,
    spreads: Vec<SpreadSums<D>>,
}

/// What is measured of a training pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The loss.
    pub loss: f64,
    /// The spread of each full-size view's projections.
    pub spreads: Vec<Spread>,
}

impl<D: Backend> Measures<D> {
    /// The numbers of several passes, in their order. The caller waits for the device once.
    ///
    /// # Errors
    /// If the device fails.
    pub fn read<'a>(passes: impl IntoIterator<Item = &'a Self> + Clone) -> Result<Vec<Measured>, D::Err> {
        let scalars = |pass: &Self| {
            let spreads = pass.spreads.iter().flat_map(SpreadSums::scalars);
            [pass.loss.clone()].into_iter().chain(spreads.cloned()).collect::<Vec<_>>()
        };
        let scalars: Vec<_> = passes.clone().into_iter().flat_map(scalars).collect();
        let mut values = D::read(&scalars)?.into_iter().map(f64::from);
        let mut next = || values.next().expect("a value for each scalar");
        let measured = |pass: &Self| Measured {
            loss: next(),
            spreads: pass.spreads.iter().map(|sums| sums.spread([next(), next(), next()])).collect(),
        };
        Ok(passes.into_iter().map(measured).collect())
    }
}
