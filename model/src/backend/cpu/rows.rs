use dfdx::prelude::*;

use super::tensor_view::{values, values_mut};
use crate::backend::RowsKernel;

impl RowsKernel for Cpu {
    fn gather_rows<const C: usize>(
        &self,
        table: &Tensor<(usize, Const<C>), f32, Self>,
        rows: &[usize],
    ) -> Result<Tensor<(usize, Const<C>), f32, Self>, Self::Err> {
        let table = values(table);
        let gathered = rows.iter().flat_map(|row| &table[row * C..(row + 1) * C]).copied().collect();
        self.try_tensor_from_vec(gathered, (rows.len(), Const))
    }

    fn scatter_rows<const C: usize>(
        &self,
        table: &mut Tensor<(usize, Const<C>), f32, Self>,
        rows: &[usize],
        values_of_rows: &Tensor<(usize, Const<C>), f32, Self>,
    ) -> Result<(), Self::Err> {
        let table = values_mut(table);
        for (row, values) in rows.iter().zip(values(values_of_rows).chunks(C)) {
            table[row * C..(row + 1) * C].copy_from_slice(values);
        }
        Ok(())
    }
}
