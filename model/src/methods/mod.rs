//! Self-supervised methods: SimSiam, those of table 4 of Chen & He 2021, Barlow Twins and VICReg.
//!
//! | method | equation | prevents collapse by |
//! |---|---|---|
//! | [`SimSiam`] | `D(p1, sg(z2)) / 2 + D(p2, sg(z1)) / 2` | stop-gradient and predictor |
//! | [`Byol`] | the same, `z` from a moving average of the network | momentum encoder and predictor |
//! | [`SimClr`] | NT-Xent over the batch | negatives in the batch |
//! | [`MoCoV2`] | InfoNCE against a queue | negatives in a queue, with keys from a momentum encoder |
//! | [`SwAv`] | swapped prediction of codes | codes that use all prototypes equally |
//! | [`BarlowTwins`] | cross-correlation towards the identity | decorrelated channels |
//! | [`VicReg`] | variance, invariance, covariance | a minimum variance of each channel |
//!
//! All implement one trait, [`Method`], so one training loop runs them. Each is one file, with its equation, settings,
//! published values and checks, and one line of the table [`MethodName`].

use dfdx::prelude::*;

use crate::backend::Backend;
use crate::branch::Encoding;
use crate::collective::Ranks;
use crate::module::{NamedTensors, zero_grads};
use crate::tensors::{Taped, View};

mod step_loss;
pub use step_loss::{Measured, Measures, StepLoss};

mod pairs;
use pairs::mean;
pub use pairs::{Similarity, Symmetry};

mod two_views;
pub use two_views::{PairLoss, TwoViews};

mod simsiam;
pub use simsiam::{SimSiam, SimSiamConfig, Targets};

mod byol;
pub use byol::{Byol, ByolConfig};

mod simclr;
pub use simclr::{SimClr, SimClrConfig};

mod moco_v2;
pub use moco_v2::{MoCoV2, MoCoV2Config};

mod swav;
pub use swav::{SwAv, SwAvConfig};

mod barlow_twins;
pub use barlow_twins::{BarlowTwins, BarlowTwinsConfig};

mod vicreg;
pub use vicreg::{VicReg, VicRegConfig};

mod rows;
pub use rows::{Queue, Rows};

mod kind;
pub use kind::{CollapseHelp, Defaults, OwnSetting, Scale, Settings};
use kind::{Kind, methods};

methods! {
    /// [`SimSiam`].
    #[default]
    SimSiam: simsiam::SimSiamKind,
    /// [`Byol`].
    Byol: byol::ByolKind,
    /// [`SimClr`].
    SimClr: simclr::SimClrKind,
    /// [`MoCoV2`].
    MoCoV2: moco_v2::MoCoV2Kind,
    /// [`SwAv`].
    SwAv: swav::SwAvKind,
    /// [`BarlowTwins`].
    BarlowTwins: barlow_twins::BarlowTwinsKind,
    /// [`VicReg`].
    VicReg: vicreg::VicRegKind,
}

/// A network and its loss.
pub trait Method<D: Backend>: NamedTensors<D> {
    /// The encoder and projector that are trained.
    fn online(&self) -> &dyn Encoding<D>;

    /// The same, for training with another loss.
    fn online_mut(&mut self) -> &mut dyn Encoding<D>;

    /// Height and width of each view of an image that [`loss`](Self::loss) takes: two of full size.
    fn view_sizes(&self) -> Vec<usize> {
        vec![self.online().size(); 2]
    }

    /// The training pass of a batch: the views pass through the network one after the other, and the loss compares
    /// them. Its tape starts with `grads`, the gradients of all trained parameters.
    fn loss(&mut self, batch: Batch<'_, D>, grads: Gradients<f32, D>) -> StepLoss<D>;

    /// Finishes a step after the parameters have been updated. `steps` is the number of steps done, `progress` their
    /// share of all steps.
    fn end_step(&mut self, steps: u64, progress: f64) {
        let _ = (steps, progress);
    }

    /// Sets the gradients of all trained parameters to 0 and drops all others.
    fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        zero_grads(self, grads);
    }

    /// Zero gradients for all trained parameters. A tape that starts with them keeps no other gradient after its
    /// backward pass.
    fn alloc_grads(&self) -> Gradients<f32, D> {
        let mut grads = Gradients::leaky();
        self.zero_grads(&mut grads);
        grads
    }
}

/// Some views of the same images.
///
/// With several ranks, these are one rank's images. The loss is that of the whole batch: its inputs are gathered first.
pub struct Batch<'a, D: Backend> {
    /// The views, in the same order of images.
    pub views: Vec<View<D>>,
    /// The sample number of each image.
    pub samples: &'a [usize],
    /// The ranks that the batch is divided among.
    pub ranks: &'a Ranks,
}

/// Sends each view through `network`, the first with the tape that begins with `grads`.
fn pass<D: Backend, Out>(
    views: Vec<View<D>>,
    grads: Gradients<f32, D>,
    network: impl FnMut(View<D, Taped<D>>) -> Out,
) -> Vec<Out> {
    let mut grads = Some(grads);
    let traced = |x: View<D>| match grads.take() {
        Some(grads) => x.traced(grads),
        None => x.leaky_traced(),
    };
    views.into_iter().map(traced).map(network).collect()
}
