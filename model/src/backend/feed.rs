use std::time::Duration;

use dfdx::prelude::*;

/// The value of each byte of each channel.
pub type Levels = [[f32; 256]; 3];

/// Views of a batch, of the same images; each may have a size of its own.
#[derive(Clone, Debug)]
pub enum Pixels<'a> {
    /// Values as the network takes them.
    Values(Vec<&'a [f32]>),
    /// A quarter of the memory: bytes, which become values on the device.
    Bytes {
        /// The views.
        views: Vec<ViewBytes<'a>>,
        /// What each byte stands for.
        levels: &'a Levels,
    },
}

/// A view of a batch as bytes: images of three planes.
#[derive(Clone, Copy, Debug)]
pub struct ViewBytes<'a> {
    /// The bytes of all images, one after the other.
    pub bytes: &'a [u8],
    /// Bytes of a plane.
    pub plane: usize,
}

impl<'a> ViewBytes<'a> {
    /// # Panics
    /// If the bytes are no whole images.
    pub fn new(bytes: &'a [u8], plane: usize) -> Self {
        assert!(bytes.len().is_multiple_of(3 * plane), "images have three planes");
        Self { bytes, plane }
    }
}

/// A batch's way to the device, and how long the device had to wait for it.
pub trait FeedKernel: Storage<f32> {
    /// Views on their way.
    type Sent: Send + 'static;
    /// A moment on the device's clock.
    type Moment;
    /// Whether views travel while the device computes: then another thread sends the next batch meanwhile, as bytes.
    const AHEAD: bool;

    /// Begins to copy views; they may be changed once this returns. It waits while two batches that were
    /// sent have not been received and dropped. It takes no device, because dfdx's do not go to other threads.
    fn send(views: &Pixels<'_>) -> Result<Self::Sent, Self::Err>;

    /// The next view, as a tensor. The device waits until it is there, not the caller.
    ///
    /// # Panics
    /// If there is none left, or it has another number of values.
    fn receive<S: Shape>(&self, sent: &mut Self::Sent, shape: S) -> Result<Tensor<S, f32, Self>, Self::Err>;

    /// When the device will have done what it was given so far.
    fn done() -> Result<Self::Moment, Self::Err>;

    /// When it will have done that and the views will be there.
    fn arrived(sent: &Self::Sent) -> Result<Self::Moment, Self::Err>;

    /// The time from one moment to a later one; both are past, as they are once a result has been read.
    fn between(from: &Self::Moment, to: &Self::Moment) -> Result<Duration, Self::Err>;
}
