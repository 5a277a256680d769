//! The matrix products: `libcublas.so.13`. Matrices are column after column.

use std::ffi::c_void;

use crate::driver::Handle;
use crate::memory::{Address, Fault, Memory};
use crate::{Status, call, not_simulated};

const SUCCESS: Status = 0;

/// Types of values.
const R_32F: i32 = 0;
const R_16BF: i32 = 14;

/// Ways to compute.
const COMPUTE_32F: i32 = 68;
const COMPUTE_32F_FAST_TF32: i32 = 77;

/// `c = alpha op(a) op(b) + beta c`.
struct Product {
    alpha: f32,
    a: Factor,
    b: Factor,
    beta: f32,
    c: Address,
    m: usize,
    n: usize,
    k: usize,
    ldc: usize,
}

struct Factor {
    address: Address,
    ld: usize,
    is_transposed: bool,
    is_bf16: bool,
    is_tf32: bool,
}

impl Factor {
    /// The values of `op(factor)`, so many rows and columns.
    fn values(&self, memory: &Memory, rows: usize, columns: usize) -> Result<Vec<f32>, Fault> {
        let (stored_rows, stored_columns) =
            if self.is_transposed { (columns, rows) } else { (rows, columns) };
        if self.ld < stored_rows {
            return Fault::new(format!("a leading dimension of {} for {stored_rows} rows", self.ld));
        }
        let len = if stored_columns == 0 { 0 } else { self.ld * (stored_columns - 1) + stored_rows };
        let mut stored = if self.is_bf16 {
            memory.halves(self.address, len)?
        } else {
            memory.floats(self.address, len)?
        };
        if self.is_tf32 {
            stored.iter_mut().for_each(|value| *value = tf32(*value));
        }
        let at =
            |row, column| if self.is_transposed { row * self.ld + column } else { column * self.ld + row };
        Ok((0..columns)
            .flat_map(|column| (0..rows).map(move |row| at(row, column)))
            .map(|at| stored[at])
            .collect())
    }
}

impl Product {
    fn compute(&self, memory: &mut Memory) -> Result<(), Fault> {
        let Self { m, n, k, ldc, .. } = *self;
        if m == 0 {
            return Ok(());
        }
        if ldc < m {
            return Fault::new(format!("a leading dimension of {ldc} for {m} rows"));
        }
        let (a, b) = (self.a.values(memory, m, k)?, self.b.values(memory, k, n)?);
        for column in 0..n {
            let address = self.c + (4 * column * ldc) as u64;
            let mut sums = vec![0.0f32; m];
            for (a, b) in a.chunks_exact(m).zip(&b[column * k..][..k]) {
                sums.iter_mut().zip(a).for_each(|(sum, a)| *sum += a * b);
            }
            sums.iter_mut().for_each(|sum| *sum *= self.alpha);
            if self.beta != 0.0 {
                let before = memory.floats(address, m)?;
                sums.iter_mut().zip(before).for_each(|(sum, before)| *sum += self.beta * before);
            }
            memory.write_floats(address, &sums)?;
        }
        Ok(())
    }
}

/// With 10 bits of mantissa, as tensor cores take single precision.
pub fn tf32(value: f32) -> f32 {
    if value.is_finite() { f32::from_bits((value.to_bits() + 0x1000) & !0x1fff) } else { value }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasCreate_v2(handle: *mut Handle) -> Status {
    call("cublasCreate", |driver| {
        driver.products.push(0);
        *handle = driver.products.len();
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cublasDestroy_v2(_handle: Handle) -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasSetStream_v2(handle: Handle, stream: Handle) -> Status {
    call("cublasSetStream", |driver| {
        driver.products[handle - 1] = stream;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasGemmEx(
    handle: Handle,
    transpose_a: i32,
    transpose_b: i32,
    m: i32,
    n: i32,
    k: i32,
    alpha: *const c_void,
    a: Address,
    type_a: i32,
    lda: i32,
    b: Address,
    type_b: i32,
    ldb: i32,
    beta: *const c_void,
    c: Address,
    type_c: i32,
    ldc: i32,
    compute: i32,
    _algorithm: i32,
) -> Status {
    call("cublasGemmEx", |driver| {
        let known = type_a == type_b
            && [R_32F, R_16BF].contains(&type_a)
            && type_c == R_32F
            && (compute == COMPUTE_32F || (compute, type_a) == (COMPUTE_32F_FAST_TF32, R_32F));
        if !known {
            return Fault::new(format!("types {type_a}, {type_b}, {type_c} and {compute} are not simulated"));
        }
        let factor = |address, ld: i32, transpose| Factor {
            address,
            ld: ld as usize,
            is_transposed: transpose != 0,
            is_bf16: type_a == R_16BF,
            is_tf32: compute == COMPUTE_32F_FAST_TF32,
        };
        let product = Product {
            alpha: *alpha.cast::<f32>(),
            a: factor(a, lda, transpose_a),
            b: factor(b, ldb, transpose_b),
            beta: *beta.cast::<f32>(),
            c,
            m: m as usize,
            n: n as usize,
            k: k as usize,
            ldc: ldc as usize,
        };
        driver.ask(driver.products[handle - 1], move |memory| product.compute(memory))?;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSgemm_v2(
    handle: Handle,
    transpose_a: i32,
    transpose_b: i32,
    m: i32,
    n: i32,
    k: i32,
    alpha: *const c_void,
    a: Address,
    lda: i32,
    b: Address,
    ldb: i32,
    beta: *const c_void,
    c: Address,
    ldc: i32,
) -> Status {
    cublasGemmEx(
        handle,
        transpose_a,
        transpose_b,
        m,
        n,
        k,
        alpha,
        a,
        R_32F,
        lda,
        b,
        R_32F,
        ldb,
        beta,
        c,
        R_32F,
        ldc,
        COMPUTE_32F,
        0,
    )
}

not_simulated! {
    cublasDgemmStridedBatched cublasDgemm_v2 cublasDgemv_v2 cublasGemmStridedBatchedEx cublasSgemmStridedBatched
    cublasSgemv_v2
}
