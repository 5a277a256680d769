use dfdx::prelude::*;

use crate::backend::ScalarsKernel;

impl ScalarsKernel for Cpu {
    fn read(scalars: &[Tensor<Rank0, f32, Self>]) -> Result<Vec<f32>, Self::Err> {
        Ok(scalars.iter().map(AsArray::array).collect())
    }
}
