use dfdx::prelude::*;

use super::memory::{new_values, values, values_mut};
use super::runtime::runtime;
use crate::backend::RowsKernel;
use crate::backend::kernels::rows as kernel;

impl RowsKernel for Cuda {
    fn gather_rows<const C: usize>(
        &self,
        table: &Tensor<(usize, Const<C>), f32, Self>,
        rows: &[usize],
    ) -> Result<Tensor<(usize, Const<C>), f32, Self>, Self::Err> {
        check(rows, table.shape().0);
        let numbers = self.try_tensor_from_vec(rows.to_vec(), (rows.len(),))?;
        let mut out = self.try_zeros_like(&(rows.len(), Const))?;
        kernel::gather(runtime(), C, values(&numbers), values(table), new_values(&mut out))?;
        Ok(out)
    }

    fn scatter_rows<const C: usize>(
        &self,
        table: &mut Tensor<(usize, Const<C>), f32, Self>,
        rows: &[usize],
        values_of_rows: &Tensor<(usize, Const<C>), f32, Self>,
    ) -> Result<(), Self::Err> {
        check(rows, table.shape().0);
        let numbers = self.try_tensor_from_vec(rows.to_vec(), (rows.len(),))?;
        kernel::scatter(runtime(), C, values(&numbers), values(values_of_rows), values_mut(table)?)
    }
}

fn check(rows: &[usize], length: usize) {
    assert!(rows.iter().all(|row| *row < length), "a row that a table of {length} has not");
}
