use dfdx::prelude::*;

/// Sizes of a convolution over square images with a square filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dGeometry {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the input.
    pub in_size: usize,
    /// Height and width of the output, `(in_size + 2 pad - kernel) / stride + 1`.
    pub out_size: usize,
    /// Height and width of the filter.
    pub kernel: usize,
    /// Distance between neighbouring windows.
    pub stride: usize,
    /// Rows and columns of zeros on each side.
    pub pad: usize,
}

impl Conv2dGeometry {
    /// Values of one input image.
    pub fn in_len(&self) -> usize {
        self.in_channels * self.in_size * self.in_size
    }

    /// Values of one output image.
    pub fn out_len(&self) -> usize {
        self.out_channels * self.out_size * self.out_size
    }

    /// Values under one window of the filter, over all input channels.
    pub fn window_len(&self) -> usize {
        self.in_channels * self.kernel * self.kernel
    }

    /// Values of the weight.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.window_len()
    }
}

/// Where a convolution's backward pass adds its results.
pub struct Conv2dGradients<'a, D: Storage<f32>> {
    /// `dL/dx`; `None` if it is not needed, as in the network's first layer.
    pub input: Option<&'a mut D::Vec>,
    /// `dL/dw`.
    pub weight: &'a mut D::Vec,
    /// Number of equal parts of the batch; the `dL/dw` of each is added to its own section of `weight`.
    pub parts: usize,
}

/// Convolution without bias, `y[n, o] = sum over c of x[n, c] * w[o, c]` (a cross-correlation, as in PyTorch).
pub trait Conv2dKernel: Storage<f32> {
    /// `y`, of shape `output`.
    fn conv2d<X: Shape, W: Shape, Y: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err>;

    /// Adds `dL/dx` and `dL/dw`, given `dL/dy`.
    fn conv2d_backward<X: Shape, W: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        grad_output: &Self::Vec,
        gradients: Conv2dGradients<'_, Self>,
    ) -> Result<(), Self::Err>;
}
