use crate::backend::Backend;
use crate::module::Module;
use crate::tensors::{Features, Taped, View};

/// A network that is an [`Encoder`](super::Encoder) for several image sizes, with one set of weights. The table of
/// [`Arch`](crate::arch::Arch) lists the sizes and implements this trait by `any_size!`.
pub trait AnySize<D: Backend, const FEATURES: usize>: Module<D> + Clone {
    /// Heights and widths of the images that it is compiled for, in ascending order.
    const SIZES: &'static [usize];

    /// Evaluation, as [`Encoder::forward`](super::Encoder::forward).
    ///
    /// # Panics
    /// If it is not compiled for the images' size.
    fn encode(&self, x: View<D>) -> Features<D, FEATURES>;

    /// Training, as [`Encoder::forward_mut`](super::Encoder::forward_mut).
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    fn encode_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, FEATURES, Taped<D>>;
}

/// Makes a network [`AnySize`]: its name, the channels of its features, and the sizes that it is an encoder of.
macro_rules! any_size {
    ($net:ident, $features:literal, [$($size:literal),+]) => {
        impl<D: Backend> AnySize<D, $features> for $net<D> {
            const SIZES: &'static [usize] = &[$($size),+];

            fn encode(&self, x: View<D>) -> Features<D, $features> {
                match x.size() {
                    $($size => Encoder::<D, $size, $features>::forward(self, x.sized()),)+
                    size => panic!("images of {size} x {size} for an encoder of {:?}", [$($size),+]),
                }
            }

            fn encode_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, $features, Taped<D>> {
                match x.size() {
                    $($size => Encoder::<D, $size, $features>::forward_mut(self, x.sized()),)+
                    size => panic!("images of {size} x {size} for an encoder of {:?}", [$($size),+]),
                }
            }
        }
    };
}
pub(crate) use any_size;
