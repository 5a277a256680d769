use dfdx::prelude::*;

/// Rows of a table that persists across steps, such as MoCo's queue.
pub trait RowsKernel: Storage<f32> {
    /// The rows with these numbers, `rows.len() x C`.
    fn gather_rows<const C: usize>(
        &self,
        table: &Tensor<(usize, Const<C>), f32, Self>,
        rows: &[usize],
    ) -> Result<Tensor<(usize, Const<C>), f32, Self>, Self::Err>;

    /// Overwrites the rows with these numbers by those of `values`.
    fn scatter_rows<const C: usize>(
        &self,
        table: &mut Tensor<(usize, Const<C>), f32, Self>,
        rows: &[usize],
        values: &Tensor<(usize, Const<C>), f32, Self>,
    ) -> Result<(), Self::Err>;
}
