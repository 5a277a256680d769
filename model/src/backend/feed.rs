use dfdx::prelude::*;

/// A batch's way to the device.
pub trait FeedKernel: Storage<f32> {
    /// Views on their way.
    type Sent: Send + 'static;
    /// Whether views travel while the device computes: then another thread sends the next batch meanwhile.
    const AHEAD: bool;

    /// Begins to copy views, all of one size; they may be changed once this returns. It waits while two batches that were
    /// sent have not been received and dropped. It takes no device, because dfdx's do not go to other threads.
    fn send(views: &[&[f32]]) -> Result<Self::Sent, Self::Err>;

    /// The next view, as a tensor. The device waits until it is there, not the caller.
    ///
    /// # Panics
    /// If there is none left, or it has another number of values.
    fn receive<S: Shape>(&self, sent: &mut Self::Sent, shape: S) -> Result<Tensor<S, f32, Self>, Self::Err>;
}
