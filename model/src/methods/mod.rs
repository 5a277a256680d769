//! Self-supervised methods: SimSiam, and those that it is compared with in table 4 of Chen & He 2021.
//!
//! | method | its equation | what keeps it from collapsing |
//! |---|---|---|
//! | [`SimSiam`] | `D(p1, sg(z2)) / 2 + D(p2, sg(z1)) / 2` | stop-gradient and predictor |
//! | [`Byol`] | the same, `z` from a moving average of the network | momentum encoder and predictor |
//! | [`SimClr`] | NT-Xent over the batch | other images of the batch |
//! | [`MoCoV2`] | InfoNCE against a queue | a queue of other images, keys from a momentum encoder |
//! | [`SwAv`] | swapped prediction of codes | codes that use all prototypes equally |
//! | [`BarlowTwins`] | cross-correlation towards the identity | channels that must not repeat each other |
//! | [`VicReg`] | variance, invariance, covariance | a variance that each channel must keep |
//!
//! All are one trait, [`Method`], so that one training loop runs them. Each is one file, and one line of the table
//! [`MethodName`]: what can be set, its authors' values, and what is to be checked stand beside its equation.

use dfdx::prelude::*;

use crate::backend::Backend;
use crate::branch::Encoding;
use crate::collective::Ranks;
use crate::module::{NamedTensors, zero_grads};
use crate::objective::{Loss, Spread};
use crate::tensors::{Taped, View};

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

/// A network and what it minimises.
pub trait Method<D: Backend>: NamedTensors<D> {
    /// The encoder and projector that are trained.
    fn online(&self) -> &dyn Encoding<D>;

    /// The same, to be trained by another loss.
    fn online_mut(&mut self) -> &mut dyn Encoding<D>;

    /// Height and width of each view of an image that [`loss`](Self::loss) takes: two of full size.
    fn view_sizes(&self) -> Vec<usize> {
        vec![self.online().size(); 2]
    }

    /// The training pass of a batch: every view goes through the network, one after the other, and the loss compares them.
    /// Its tape begins with `grads`, the gradients of all trained parameters.
    fn loss(&mut self, batch: Batch<'_, D>, grads: Gradients<f32, D>) -> StepLoss<D>;

    /// What is left to do once the parameters have been updated; `progress` is the share of all steps that are done,
    /// `steps` their number.
    fn end_step(&mut self, steps: u64, progress: f64) {
        let _ = (steps, progress);
    }

    /// Sets the gradients of all trained parameters to 0 and drops all others.
    fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        zero_grads(self, grads);
    }

    /// Gradients of 0 for all trained parameters. A tape that begins with them keeps no other gradient after its backward
    /// pass.
    fn alloc_grads(&self) -> Gradients<f32, D> {
        let mut grads = Gradients::leaky();
        self.zero_grads(&mut grads);
        grads
    }
}

/// Some views of the same images.
///
/// With several ranks these are one rank's images, and the loss is that of all: what it compares is gathered first.
pub struct Batch<'a, D: Backend> {
    /// The views, in the same order of images.
    pub views: Vec<View<D>>,
    /// Which sample of the data each image is.
    pub samples: &'a [usize],
    /// Among which the batch is divided.
    pub ranks: &'a Ranks,
}

/// What a pass came to.
pub struct StepLoss<D: Backend> {
    /// The loss.
    pub loss: Loss<D>,
    /// How the projections of each full-size view spread.
    pub spreads: Vec<Spread>,
    /// The loss that projections have which are the same for all images, where that is no minimum: a method that pushes
    /// images apart and has learned something is below it. `None` where the loss cannot tell, since a collapse minimises it.
    pub equal_loss: Option<f64>,
}

impl<D: Backend> StepLoss<D> {
    /// The loss as a number.
    pub fn value(&self) -> f64 {
        f64::from(self.loss.as_vec()[0])
    }
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
