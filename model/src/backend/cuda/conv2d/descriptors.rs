use super::{CudnnError, Format, Problem, cudnn, sys};

/// What cuDNN is told of a convolution. They are kept for the process: there are a few for each layer.
pub(super) struct Descriptors {
    pub(super) x: sys::cudnnTensorDescriptor_t,
    pub(super) weight: sys::cudnnFilterDescriptor_t,
    pub(super) y: sys::cudnnTensorDescriptor_t,
    pub(super) convolution: sys::cudnnConvolutionDescriptor_t,
}

impl Descriptors {
    /// Of images and filters in the problem's format; sums are in single precision.
    pub(super) fn new(problem: &Problem) -> Result<Self, CudnnError> {
        use sys::cudnnDataType_t::{CUDNN_DATA_BFLOAT16, CUDNN_DATA_FLOAT};
        use sys::cudnnTensorFormat_t::{CUDNN_TENSOR_NCHW, CUDNN_TENSOR_NHWC};
        let Problem { geometry: g, batch, format } = *problem;
        let (order, value) = match format {
            Format::F32 => (CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT),
            Format::Bf16 => (CUDNN_TENSOR_NHWC, CUDNN_DATA_BFLOAT16),
        };
        // The partner of an odd last channel is one of cuDNN's: an input's is 0, and an output has none.
        let in_channels = match format {
            Format::F32 => g.in_channels,
            Format::Bf16 => g.in_channels.next_multiple_of(2),
        };
        assert!(format == Format::F32 || g.out_channels.is_multiple_of(2), "outputs are no pairs: {g:?}");
        let int = |n: usize| i32::try_from(n).expect("sizes are small numbers");
        let (pad, stride, kernel) = (int(g.pad), int(g.stride), int(g.kernel));
        let (x, y) = (cudnn::create_tensor_descriptor()?, cudnn::create_tensor_descriptor()?);
        let (weight, convolution) =
            (cudnn::create_filter_descriptor()?, cudnn::create_convolution_descriptor()?);
        // SAFETY: the descriptors were just created.
        unsafe {
            let sizes = |channels, size| [int(batch), int(channels), int(size), int(size)];
            cudnn::set_tensor4d_descriptor(x, order, value, sizes(in_channels, g.in_size))?;
            cudnn::set_tensor4d_descriptor(y, order, value, sizes(g.out_channels, g.out_size))?;
            let filter = [int(g.out_channels), int(in_channels), kernel, kernel];
            cudnn::set_filter4d_descriptor(weight, value, order, filter)?;
            let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
            let sums = CUDNN_DATA_FLOAT;
            cudnn::set_convolution2d_descriptor(convolution, pad, pad, stride, stride, 1, 1, mode, sums)?;
        }
        Ok(Self { x, weight, y, convolution })
    }

    /// What cuDNN makes of them: the sizes of the output.
    #[cfg(test)]
    fn output_sizes(&self) -> Result<[i32; 4], CudnnError> {
        let [mut n, mut c, mut h, mut w] = [0; 4];
        // SAFETY: the descriptors are complete, and four numbers are written.
        let status = unsafe {
            sys::cudnnGetConvolution2dForwardOutputDim(
                self.convolution,
                self.x,
                self.weight,
                &mut n,
                &mut c,
                &mut h,
                &mut w,
            )
        };
        status.result()?;
        Ok([n, c, h, w])
    }
}

#[cfg(test)]
mod tests {
    use super::super::Conv2dGeometry;
    use super::*;

    /// cuDNN answers this without a device.
    #[test]
    fn cudnn_sees_the_outputs_that_the_layers_see() {
        // SAFETY: NVIDIA's libraries only set themselves up when they are loaded.
        if let Err(error) = unsafe { libloading::Library::new("libcudnn.so.9") } {
            println!("skipped: {error}");
            return;
        }
        for (in_channels, out_channels, in_size, out_size, kernel, stride, pad) in [
            (3, 64, 224, 112, 7, 2, 3),
            (64, 64, 56, 56, 3, 1, 1),
            (128, 128, 56, 28, 3, 2, 1),
            (256, 512, 56, 28, 1, 2, 0),
            (3, 16, 32, 32, 3, 1, 1),
            (3, 2, 11, 4, 5, 3, 2),
        ] {
            let geometry =
                Conv2dGeometry { in_channels, out_channels, in_size, out_size, kernel, stride, pad };
            for format in [Format::F32, Format::Bf16] {
                let problem = Problem { geometry, batch: 5, format };
                let found = Descriptors::new(&problem).unwrap().output_sizes().unwrap();
                assert_eq!(found, [5, out_channels as i32, out_size as i32, out_size as i32], "{problem:?}");
            }
        }
    }
}
