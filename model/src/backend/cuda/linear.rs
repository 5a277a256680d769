//! The linear layer by cuBLAS.

use std::ptr::from_ref;

use cudarc::cublas::{result as cublas, sys};
use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::Precision;
use super::bf16::Factor;
use super::exchange::ONE_RANK;
use super::memory::{begin, new_values, stored, stored_mut, values};
use super::runtime::runtime;
use crate::backend::kernels::linear::{
    Product, bias_gradient, bias_rows, forward, input_gradient, weight_gradient,
};
use crate::backend::kernels::{Layout, Values, ValuesMut};
use crate::backend::{FormatKernel, LinearGradients, LinearKernel};

impl LinearKernel for Cuda {
    fn linear<const IN: usize, const OUT: usize>(
        &self,
        x: &Tensor<(usize, Const<IN>), f32, Self>,
        weight: &Tensor<Rank2<OUT, IN>, f32, Self>,
        bias: Option<&Tensor<Rank1<OUT>, f32, Self>>,
    ) -> Result<Tensor<(usize, Const<OUT>), f32, Self>, Self::Err> {
        let batch = x.shape().0;
        let mut y = self.try_zeros_like(&(batch, Const))?;
        if let Some(bias) = bias {
            bias_rows(runtime(), values(bias), new_values(&mut y))?;
        }
        let (weight, x) = (factor(self, values(weight))?, factor(self, values(x))?);
        // What is there is the bias or zeros.
        multiply(&forward([batch, IN, OUT]), &weight, &x, new_values(&mut y), 1.0)?;
        Ok(y)
    }

    fn linear_backward<const IN: usize, const OUT: usize>(
        &self,
        x: &Tensor<(usize, Const<IN>), f32, Self>,
        weight: &Tensor<Rank2<OUT, IN>, f32, Self>,
        grad_output: &Self::Vec,
        gradients: LinearGradients<'_, Self>,
    ) -> Result<(), Self::Err> {
        assert!(gradients.parts == 1, "{ONE_RANK}");
        let sizes = [x.shape().0, IN, OUT];
        let beta = if begin(self, gradients.weight, OUT * IN)? { 0.0 } else { 1.0 };
        let grad_y = factor(self, stored(grad_output))?;
        let (weight, x) = (factor(self, values(weight))?, factor(self, values(x))?);
        multiply(&weight_gradient(sizes), &x, &grad_y, stored_mut(gradients.weight), beta)?;
        multiply(&input_gradient(sizes), &weight, &grad_y, stored_mut(gradients.x), 1.0)?;
        if let Some(bias) = gradients.bias {
            begin(self, bias, OUT)?;
            bias_gradient(runtime(), stored(grad_output), stored_mut(bias))?;
        }
        Ok(())
    }
}

/// A factor in the process's precision.
fn factor<'a>(dev: &Cuda, values: Values<'a>) -> Result<Factor<'a>, CudaError> {
    Factor::of(dev, &Layout::matrix(values.len()), values, dev.image_format())
}

/// `c = op(a) op(b) + beta c`.
fn multiply(
    product: &Product,
    a: &Factor<'_>,
    b: &Factor<'_>,
    c: ValuesMut<'_>,
    beta: f32,
) -> Result<(), CudaError> {
    use sys::cublasComputeType_t::{CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32};
    use sys::cublasOperation_t::{CUBLAS_OP_N, CUBLAS_OP_T};
    const F32: sys::cudaDataType = sys::cudaDataType::CUDA_R_32F;
    let Product { transpose_a, transpose_b, m, n, k, lda, ldb, ldc } = *product;
    let fits = a.len() == m * k && b.len() == k * n && c.len() == m * n;
    assert!(fits, "{} by {} values give {}: {product:?}", a.len(), b.len(), c.len());
    if c.len() == 0 || k == 0 {
        return Ok(());
    }
    let [m, n, k, lda, ldb, ldc] =
        [m, n, k, lda, ldb, ldc].map(|n| i32::try_from(n).expect("a layer's sizes are small numbers"));
    let op = |transposed| if transposed { CUBLAS_OP_T } else { CUBLAS_OP_N };
    let runtime = runtime();
    let compute = match runtime.precision() {
        Precision::Tf32 => CUBLAS_COMPUTE_32F_FAST_TF32,
        Precision::F32 | Precision::Bf16 => CUBLAS_COMPUTE_32F,
    };
    let (one, beta) = (from_ref(&1.0f32).cast(), from_ref(&beta).cast());
    let address = |factor: &Factor<'_>| factor.address() as *const _;
    let data_type = |factor: &Factor<'_>| match factor {
        Factor::F32(_) => F32,
        Factor::Bf16(..) => sys::cudaDataType::CUDA_R_16BF,
    };
    let c = c.address() as *mut _;
    let algorithm = sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT;
    // SAFETY: the matrices have as many values as the sizes say, and are on the device; scales are read at once.
    let done = unsafe {
        cublas::gemm_ex(
            runtime.cublas,
            op(transpose_a),
            op(transpose_b),
            m,
            n,
            k,
            one,
            address(a),
            data_type(a),
            lda,
            address(b),
            data_type(b),
            ldb,
            beta,
            c,
            F32,
            ldc,
            compute,
            algorithm,
        )
    };
    done.map_err(|error| panic!("the device failed: {product:?}: {error:?}"))
}
