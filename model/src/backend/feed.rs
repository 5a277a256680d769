use std::time::Duration;

use dfdx::prelude::*;

/// The value of each byte of each channel.
pub type Levels = [[f32; 256]; 3];

/// Views of a batch, of the same images; each may have its own size.
#[derive(Clone, Debug)]
pub enum Pixels<'a> {
    /// Values in the form that the network takes.
    Values(Vec<&'a [f32]>),
    /// Bytes, a quarter of the memory; the device converts them to values.
    Bytes {
        /// The views.
        views: Vec<ViewBytes<'a>>,
        /// The value of each byte.
        levels: &'a Levels,
    },
}

/// A view of a batch as bytes: images of three planes each.
#[derive(Clone, Copy, Debug)]
pub struct ViewBytes<'a> {
    /// The bytes of all images, one after the other.
    pub bytes: &'a [u8],
    /// Bytes of a plane.
    pub plane: usize,
}

impl<'a> ViewBytes<'a> {
    /// # Panics
    /// If the bytes are not a whole number of images.
    pub fn new(bytes: &'a [u8], plane: usize) -> Self {
        assert!(bytes.len().is_multiple_of(3 * plane), "images have three planes");
        Self { bytes, plane }
    }
}

/// Sends batches to the device, and measures how long the device waited for them.
pub trait FeedKernel: Storage<f32> {
    /// Views in transfer.
    type Sent: Send + 'static;
    /// A point in time on the device's clock.
    type Moment;
    /// Whether the device works while the caller goes on. Then another thread sends the next batch, as bytes, and the
    /// numbers of several steps are read at once.
    const AHEAD: bool;

    /// Starts to copy views; they may be changed once this returns. It waits while two sent batches have not been
    /// received and dropped. It takes no device, because dfdx's devices cannot be sent to other threads.
    fn send(views: &Pixels<'_>) -> Result<Self::Sent, Self::Err>;

    /// The next view as a tensor. The device waits until it has arrived; the caller does not.
    ///
    /// # Panics
    /// If there is none left, or it has another number of values.
    fn receive<S: Shape>(&self, sent: &mut Self::Sent, shape: S) -> Result<Tensor<S, f32, Self>, Self::Err>;

    /// The time when the device will have finished its work so far.
    fn done() -> Result<Self::Moment, Self::Err>;

    /// The time when it will have finished that and the views will have arrived.
    fn arrived(sent: &Self::Sent) -> Result<Self::Moment, Self::Err>;

    /// The time between two points, both in the past, as they are once a result has been read.
    fn between(from: &Self::Moment, to: &Self::Moment) -> Result<Duration, Self::Err>;
}
