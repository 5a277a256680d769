//! [`RowsKernel`](crate::backend::RowsKernel)'s copies.

use super::{Queue, Values, ValuesMut, count, grid_of, launch};

/// `out[i] = table[rows[i]]`, rows of `width` values.
pub(crate) fn gather<Q: Queue>(
    queue: &Q,
    width: usize,
    rows: Values<'_, usize>,
    table: Values<'_>,
    mut out: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let n = rows.len();
    assert_eq!(out.len(), n * width, "a row for each number");
    // SAFETY: `rows` has `n` numbers and `out` that many rows; the caller has checked that the table has those rows.
    unsafe {
        launch!(queue, "gather_rows", grid_of(n * width), [count(n), count(width), rows, table, &mut out])
    }
}

/// `table[rows[i]] = values[i]`, rows of `width` values.
pub(crate) fn scatter<Q: Queue>(
    queue: &Q,
    width: usize,
    rows: Values<'_, usize>,
    values: Values<'_>,
    mut table: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let n = rows.len();
    assert_eq!(values.len(), n * width, "a row for each number");
    // SAFETY: as in `gather`.
    unsafe {
        launch!(queue, "scatter_rows", grid_of(n * width), [count(n), count(width), rows, values, &mut table])
    }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::RowsKernel;
    use crate::backend::kernels::host::{noise, on_host};
    use crate::tensors::Features;

    #[test]
    fn agree_with_the_cpus() {
        const WIDTH: usize = 37;
        on_host(|host| {
            for rows in [vec![3], vec![8, 0, 3, 8, 1, 3], (0..9).rev().collect::<Vec<_>>()] {
                let dev = Cpu::default();
                let (table, values) = (noise(1, 9 * WIDTH), noise(2, rows.len() * WIDTH));
                let mut table_cpu: Features<Cpu, WIDTH> = dev.tensor_from_vec(table.clone(), (9, Const));
                let values_cpu = dev.tensor_from_vec(values.clone(), (rows.len(), Const));

                let mut gathered = vec![0.0; values.len()];
                gather(host, WIDTH, rows[..].into(), table[..].into(), (&mut gathered[..]).into()).unwrap();
                assert_eq!(gathered, dev.gather_rows(&table_cpu, &rows).unwrap().as_vec());

                let mut table = table;
                scatter(host, WIDTH, rows[..].into(), values[..].into(), (&mut table[..]).into()).unwrap();
                dev.scatter_rows(&mut table_cpu, &rows, &values_cpu).unwrap();
                assert_eq!(table, table_cpu.as_vec());
            }
        });
    }
}
