use dfdx::prelude::*;

use super::exchange::ONE_RANK;
use super::memory::{Stored, begin, new_values, stored_mut, values, values_mut};
use super::runtime::runtime;
use crate::backend::kernels::Layout;
use crate::backend::kernels::batch_norm::{self as kernel, Partition, Scratch, Statistics};
use crate::backend::{
    Affine, BatchNormGradients, BatchNormKernel, BatchNormSaved, BatchStatistics, Normalization,
};
use crate::collective::Ranks;

impl BatchNormKernel for Cuda {
    fn batch_norm_train<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &mut Tensor<C, f32, Self>,
        running_var: &mut Tensor<C, f32, Self>,
        ranks: &Ranks,
    ) -> Result<(Tensor<S, f32, Self>, BatchStatistics<C, Self>), Self::Err> {
        assert!(ranks.is_trivial(), "{ONE_RANK}");
        let partition = partition(op.x, running_mean);
        let mut mean = self.try_zeros_like(running_mean)?;
        let mut inv_std = self.try_zeros_like(running_var)?;
        let mut sums: Stored<f64> = self.try_alloc_len(partition.sums_len())?;
        let into = [
            new_values(&mut mean),
            new_values(&mut inv_std),
            values_mut(running_mean)?,
            values_mut(running_var)?,
        ];
        let constants = [Self::EPSILON, Self::MOMENTUM];
        kernel::statistics(runtime(), &partition, constants, values(op.x), stored_mut(&mut sums), into)?;
        let y = normalize(self, op, &mean, &inv_std)?;
        Ok((y, BatchStatistics { mean, inv_std }))
    }

    fn batch_norm_eval<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &Tensor<C, f32, Self>,
        running_var: &Tensor<C, f32, Self>,
    ) -> Result<Tensor<S, f32, Self>, Self::Err> {
        let mut inv_std = self.try_zeros_like(running_var)?;
        kernel::inverse_std(runtime(), Self::EPSILON, values(running_var), new_values(&mut inv_std))?;
        normalize(self, op, running_mean, &inv_std)
    }

    fn batch_norm_backward<S: Shape, C: Shape>(
        &self,
        saved: &BatchNormSaved<'_, S, C, Self>,
        grad_output: &mut Self::Vec,
        gradients: BatchNormGradients<'_, Self>,
        ranks: &Ranks,
    ) -> Result<(), Self::Err> {
        assert!(ranks.is_trivial(), "{ONE_RANK}");
        let partition = partition(saved.x, &saved.statistics.mean);
        let mut sums: Stored<f64> = self.try_alloc_len(partition.sums_len())?;
        let mut terms: Stored = self.try_alloc_len(partition.terms_len())?;
        let affine = match gradients.affine {
            Some((scale, shift)) => {
                let channels = saved.statistics.mean.shape().num_elements();
                begin(self, scale, channels)?;
                begin(self, shift, channels)?;
                Some((stored_mut(scale), stored_mut(shift)))
            }
            None => None,
        };
        let backward = kernel::Backward {
            activation: saved.activation,
            by: statistics(&saved.statistics.mean, &saved.statistics.inv_std, saved.affine),
            x: values(saved.x),
            y: saved.y.map(values),
        };
        let scratch = Scratch { sums: stored_mut(&mut sums), terms: stored_mut(&mut terms) };
        let results = kernel::Results {
            output: stored_mut(grad_output),
            input: gradients.input.map(stored_mut),
            residual: gradients.residual.map(stored_mut),
            affine,
        };
        kernel::differentiate(runtime(), &partition, &backward, scratch, results)
    }
}

fn normalize<S: Shape, C: Shape>(
    dev: &Cuda,
    op: &Normalization<'_, S, C, Cuda>,
    mean: &Tensor<C, f32, Cuda>,
    inv_std: &Tensor<C, f32, Cuda>,
) -> Result<Tensor<S, f32, Cuda>, <Cuda as HasErr>::Err> {
    let mut y = dev.try_zeros_like(op.x)?;
    let by = statistics(mean, inv_std, op.affine);
    let (x, residual) = (values(op.x), op.residual.map(values));
    kernel::normalize(
        runtime(),
        &partition(op.x, mean),
        op.activation,
        &by,
        x,
        residual,
        new_values(&mut y),
    )?;
    Ok(y)
}

fn statistics<'a, C: Shape>(
    mean: &'a Tensor<C, f32, Cuda>,
    inv_std: &'a Tensor<C, f32, Cuda>,
    affine: Option<Affine<'a, C, Cuda>>,
) -> Statistics<'a> {
    let affine = affine.map(|(scale, shift)| (values(scale), values(shift)));
    Statistics { mean: values(mean), inv_std: values(inv_std), affine }
}

fn partition<S: Shape, C: Shape>(x: &Tensor<S, f32, Cuda>, mean: &Tensor<C, f32, Cuda>) -> Partition {
    Partition::of(Layout::of(x.shape().concrete().as_ref(), mean.shape().num_elements()))
}
