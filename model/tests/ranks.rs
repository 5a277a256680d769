//! A batch that is divided among ranks is trained on as if it were whole: here the ranks are threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dfdx::prelude::*;
use simsiam_model::arch::Arch;
use simsiam_model::backend::{FeedKernel, Pixels};
use simsiam_model::collective::{Collective, Exchange, Ranks, SumOrder, Threads};
use simsiam_model::init::InitRng;
use simsiam_model::methods::{MethodName, Scale, Settings};
use simsiam_model::network::{Network, Networks};
use simsiam_model::{LearningRates, NamedTensors, Sgd, SgdConfig};

const BATCH: usize = 16;
const STEPS: usize = 3;

/// What training came to: the losses, the ranks of the outputs, and all tensors.
#[derive(Clone, Debug, PartialEq)]
struct Trained {
    losses: Vec<f64>,
    spreads: Vec<f64>,
    tensors: BTreeMap<String, Vec<f32>>,
}

fn network(method: MethodName) -> Network<Cpu> {
    let defaults = method.defaults(Scale::Small);
    let settings = Settings {
        temperature: defaults.temperature,
        target_momentum: defaults.target_momentum,
        queue: defaults.queue.map(|_| 64),
        ..Settings::new(2, method.dims()[0])
    };
    Cpu::default().network(Arch::Resnet8, 32, method, &settings, &InitRng::new(0))
}

/// Trains on this rank's share of the same batches.
fn train(mut model: Network<Cpu>, ranks: &Ranks) -> Trained {
    model.join(ranks);
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 5e-4 });
    let mut gradients = model.alloc_grads();
    let (mut losses, mut spreads) = (Vec::new(), Vec::new());
    let own = BATCH / ranks.size();
    let images = ranks.rank() * own..(ranks.rank() + 1) * own;
    for step in 0..STEPS {
        let samples: Vec<usize> = images.clone().collect();
        let views: Vec<Vec<f32>> =
            (0..model.view_sizes().len()).map(|view| pixels(images.clone(), step, view)).collect();
        let sent = Cpu::send(&Pixels::Values(views.iter().map(Vec::as_slice).collect())).expect("memory");
        model.sum_in_backward();
        let loss = model.loss(sent, &samples, gradients);
        let measured = loss.measured().expect("memory");
        losses.push(measured.loss);
        spreads.extend(measured.spreads.iter().map(|spread| spread.effective_rank));
        gradients = loss.loss.backward();
        model.sum_gradients(&mut gradients).expect("memory");
        sgd.update(&mut model, &mut gradients, &LearningRates::all(1e-3)).expect("memory");
        model.zero_grads(&mut gradients);
        model.end_step(step as u64 + 1, (step + 1) as f64 / STEPS as f64);
    }
    let mut tensors = BTreeMap::new();
    model.visit("", &mut |name, _, tensor| drop(tensors.insert(name.to_owned(), tensor.values())));
    Trained { losses, spreads, tensors }
}

fn pixels(images: std::ops::Range<usize>, step: usize, view: usize) -> Vec<f32> {
    let value = |i: usize| (i as f32 * 0.37 + (i / 3072 * (7 + step)) as f32 + view as f32 * 0.3).sin();
    (images.start * 3072..images.end * 3072).map(value).collect()
}

/// Each of `size` ranks.
fn divided(size: usize, order: SumOrder, method: MethodName) -> Vec<Trained> {
    let model = || network(method);
    thread::scope(|scope| {
        let start = |threads: Threads| scope.spawn(|| train(model(), &Ranks::new(Arc::new(threads), order)));
        let ranks: Vec<_> = Threads::group(size).into_iter().map(start).collect();
        ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect()
    })
}

#[test]
fn any_number_of_ranks_trains_as_one_does() {
    for &method in MethodName::ALL {
        let whole = train(network(method), &Ranks::default());
        let ranks = divided(2, SumOrder::Any, method);
        assert!(ranks.iter().all(|rank| *rank == ranks[0]), "{method}: the ranks have one network");
        for (step, (whole, found)) in whole.losses.iter().zip(&ranks[0].losses).enumerate() {
            let error = (whole - found).abs() / whole.abs().max(1.0);
            // Later steps carry the differences on, which the losses of a few images make larger.
            let most = if step == 0 { 1e-6 } else { 1e-3 };
            assert!(error < most, "{method}, step {step}: {found}, not {whole} ({error:e})");
        }
        for (whole, found) in whole.spreads.iter().zip(&ranks[0].spreads) {
            assert!((whole - found).abs() < 1e-3 * whole, "{method}: rank {found}, not {whole}");
        }
    }
}

#[test]
fn sums_in_a_fixed_order_are_the_same_bits_for_any_number_of_ranks() {
    for &method in MethodName::ALL {
        let whole = train(network(method), &Ranks::alone(SumOrder::Fixed));
        for size in [2, 8] {
            for (rank, found) in divided(size, SumOrder::Fixed, method).into_iter().enumerate() {
                assert_eq!(found.losses, whole.losses, "{method}, {size} ranks, rank {rank}");
                let other = found.tensors.iter().find(|(name, values)| whole.tensors[*name] != **values);
                assert!(
                    other.is_none(),
                    "{method}, {size} ranks, rank {rank}: {:?}",
                    other.map(|(name, _)| name)
                );
            }
        }
    }
}

/// Counts the sums that were begun.
#[derive(Debug)]
struct Counted {
    threads: Threads,
    sums: AtomicUsize,
}

impl Collective for Counted {
    fn rank(&self) -> usize {
        self.threads.rank()
    }

    fn size(&self) -> usize {
        self.threads.size()
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) {
        self.threads.all_gather(own, all);
    }

    fn begin_all_reduce(&self, values: Vec<f32>) -> Box<dyn Exchange> {
        self.sums.fetch_add(1, Ordering::Relaxed);
        self.threads.begin_all_reduce(values)
    }
}

/// Each trained parameter's gradient of two batches, summed over the ranks, and how many sums the backward passes began.
fn gradients_of_two_batches(threads: Threads, in_backward: bool) -> (BTreeMap<String, Vec<f32>>, usize) {
    let settings = Settings::new(3, 2048);
    let mut model =
        Cpu::default().network(Arch::Resnet8, 32, MethodName::SimSiam, &settings, &InitRng::new(0));
    let images = 2 * threads.rank()..2 * threads.rank() + 2;
    let counted = Arc::new(Counted { threads, sums: AtomicUsize::new(0) });
    model.join(&Ranks::new(counted.clone(), SumOrder::Any));
    let mut gradients = model.alloc_grads();
    for batch in 0..2 {
        assert_eq!(counted.sums.load(Ordering::Relaxed), 0, "the first batch's gradients are not all");
        if batch == 1 && in_backward {
            model.sum_in_backward();
        }
        let views = [0, 1].map(|view| pixels(images.clone(), batch, view));
        let sent = Cpu::send(&Pixels::Values(views.iter().map(Vec::as_slice).collect())).expect("memory");
        let samples: Vec<usize> = images.clone().collect();
        gradients = model.loss(sent, &samples, gradients).loss.backward();
    }
    let begun = counted.sums.load(Ordering::Relaxed);
    model.sum_gradients(&mut gradients).expect("memory");
    let mut found = BTreeMap::new();
    model.visit("", &mut |name, is_parameter, tensor| {
        if is_parameter {
            found.insert(name.to_owned(), tensor.gradient(&gradients));
        }
    });
    (found, begun)
}

#[test]
fn gradients_are_summed_while_the_backward_pass_goes_on() {
    let each = |in_backward| {
        thread::scope(|scope| {
            let start = |threads| scope.spawn(move || gradients_of_two_batches(threads, in_backward));
            let ranks: Vec<_> = Threads::group(2).into_iter().map(start).collect();
            ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect::<Vec<_>>()
        })
    };
    let (afterwards, meanwhile) = (each(false), each(true));
    for ((gradients, begun), (expected, none)) in meanwhile.iter().zip(&afterwards) {
        assert_eq!(*none, 0);
        assert!(*begun >= 2, "the heads' large layers are done before the encoder: {begun}");
        let other = gradients.iter().find(|(name, values)| expected[*name] != **values);
        assert!(other.is_none(), "{:?}", other.map(|(name, _)| name));
    }
}
