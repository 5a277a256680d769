use dfdx::prelude::*;

use super::memory::{Stored, new_values, stored, stored_mut, values};
use super::runtime::runtime;
use crate::backend::CosineKernel;
use crate::backend::kernels::cosine as kernel;

impl CosineKernel for Cuda {
    fn negative_cosine<const C: usize>(
        &self,
        p: &Tensor<(usize, Const<C>), f32, Self>,
        z: &Tensor<(usize, Const<C>), f32, Self>,
    ) -> Result<Tensor<Rank0, f32, Self>, Self::Err> {
        let mut cosines: Stored = self.try_alloc_len(p.shape().0)?;
        let mut loss = self.try_zeros()?;
        let (cosines, into) = (stored_mut(&mut cosines), new_values(&mut loss));
        kernel::negative_mean(runtime(), values(p), values(z), cosines, into)?;
        Ok(loss)
    }

    fn negative_cosine_backward<const C: usize>(
        &self,
        p: &Tensor<(usize, Const<C>), f32, Self>,
        z: &Tensor<(usize, Const<C>), f32, Self>,
        grad_output: &Self::Vec,
        grad_p: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let (grad_loss, grad_p) = (stored(grad_output), stored_mut(grad_p));
        kernel::gradient(runtime(), p.shape().0, values(p), values(z), grad_loss, grad_p)
    }
}
