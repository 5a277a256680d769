use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use simsiam_model::collective::Threads;
use simsiam_pipeline::BadSample;
use simsiam_pipeline::shards::OpenOptions;

use super::*;
use crate::config::Overrides;
use crate::data::Data;
use crate::interrupt::Interrupt;

#[test]
fn a_process_alone_agrees_with_itself() {
    let world = World::default();
    assert!(world.is_first() && world.size() == 1);
    assert_eq!(world.in_turn(|| Ok(3)).unwrap(), 3);
    let error = world.agree::<()>(Err(InputError::new("no such file").into())).unwrap_err();
    assert_eq!((exit_code(&error), error.is::<Agreed>()), (2, false));
    world.check_same(|| [("program", "this".into())]).unwrap();
    let config = TrainConfig::resolve(&Overrides::default()).unwrap();
    world.check(&config).unwrap();
    assert_eq!((world.ranks_of(&config).size(), world.ranks_of(&config).parts()), (1, 1));
    let fixed = TrainConfig { deterministic: true, ..config };
    assert_eq!(world.ranks_of(&fixed).parts(), FIXED_PARTS);
}

/// A world of threads.
fn of(threads: Threads) -> World {
    World { engine: None, ranks: Ranks::new(Arc::new(threads), SumOrder::Any) }
}

/// What each of `size` ranks comes to.
fn each_rank<R: Send>(size: usize, work: impl Fn(World) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let start = |threads| scope.spawn(|| work(of(threads)));
        let threads: Vec<_> = Threads::group(size).into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn an_error_of_one_rank_is_an_error_of_all() {
    let fails_on = |failing: &'static [usize]| {
        each_rank(3, move |world| {
            let rank = world.ranks().rank();
            let own = if failing.contains(&rank) {
                Err(InputError::new(format!("no shards of {rank}")).into())
            } else {
                Ok(rank)
            };
            world.agree(own).map_err(|error| (exit_code(&error), error.to_string()))
        })
    };
    assert_eq!(fails_on(&[]), [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(fails_on(&[0, 1, 2]), [(); 3].map(|()| Err((2, "no shards of 0".to_owned()))));
    let of_last = (2, "rank 2 on this host: no shards of 2".to_owned());
    assert_eq!(fails_on(&[2]), [(); 3].map(|()| Err(of_last.clone())));
}

#[test]
fn the_first_rank_works_before_the_others_and_not_in_vain() {
    let done = AtomicUsize::new(0);
    let order = each_rank(3, |world| world.in_turn(|| Ok(done.fetch_add(1, Ordering::SeqCst))).unwrap());
    assert_eq!((order[0], order[1] + order[2]), (0, 3));

    let done = AtomicUsize::new(0);
    let fail = |_: World| -> Result<()> {
        done.fetch_add(1, Ordering::SeqCst);
        Err(InputError::new("no shards").into())
    };
    let results = each_rank(3, |world| world.clone().in_turn(|| fail(world)).is_err());
    assert_eq!((results, done.into_inner()), (vec![true; 3], 1));
}

#[test]
fn a_rank_with_another_configuration_is_named() {
    let results = each_rank(2, |world| {
        let epochs = 3 + world.ranks().rank();
        let own =
            [("program", "simsiam".into()), ("configuration", format!("arch = 1\nepochs = {epochs}\n"))];
        world.check_same(|| own).map_err(|error| (exit_code(&error), error.to_string()))
    });
    let text = "rank 1 on this host has another configuration than rank 0 on this host: epochs = 4, and not epochs = 3";
    assert_eq!(results, [(); 2].map(|()| Err((2, text.to_owned()))));
}

#[test]
fn batches_that_ranks_cannot_share_are_refused() {
    let config = TrainConfig::resolve(&Overrides::default()).unwrap();
    let refusal = |size: usize, config: TrainConfig| {
        let mut refusals = each_rank(size, |world| world.check(&config).map_err(|error| error.to_string()));
        refusals.pop().unwrap().err().unwrap_or_default()
    };
    let config = |change: fn(&mut TrainConfig)| {
        let mut config = config.clone();
        change(&mut config);
        config
    };
    for (size, config, expected) in [
        (2, config(|_| ()), ""),
        (3, config(|_| ()), "--batch-size 64: must be a multiple of 3, the number of processes"),
        (
            3,
            config(|config| (config.batch_size, config.deterministic) = (48, true)),
            "--deterministic: needs 1, 2, 4 or 8 processes, not 3",
        ),
        (
            2,
            config(|config| (config.batch_size, config.sync_bn) = (2, false)),
            "--batch-size 2: must be at least 4, 2 images for each process, with --sync-bn false",
        ),
        (
            2,
            config(|config| config.device = Device::Cuda),
            "--device cuda: 2 processes train together on CPUs only so far",
        ),
    ] {
        assert_eq!(refusal(size, config), expected);
    }
}

/// Two images without labels.
fn data(dir: &Path) -> Data {
    for name in ["a.png", "b.png"] {
        image::RgbImage::new(40, 40).save(dir.join(name)).unwrap();
    }
    let shards = Some(vec![dir.to_string_lossy().into_owned()]);
    let settings = Overrides { shards, batch_size: Some(2), knn_every: Some(0), ..Overrides::default() };
    Data::open(&TrainConfig::resolve(&settings).unwrap(), &OpenOptions::default()).unwrap()
}

#[test]
fn what_one_rank_is_asked_all_do() {
    let asked = each_rank(3, |world| {
        let rank = world.ranks().rank();
        let interrupt = if rank == 2 { Interrupt::raised() } else { Interrupt::default() };
        let dir = tempfile::tempdir().unwrap();
        let data = data(dir.path());
        let mut news = News::new(&world, &interrupt, &data);
        if rank == 1 {
            data.train.quarantine.restore([BadSample {
                sample: 3,
                place: "shard a.tar, sample 3".into(),
                offset: 0,
                cause: "x".into(),
            }]);
        }
        news.exchange().unwrap();
        (news.stops(), news.take_save(), data.bad_samples().len())
    });
    assert_eq!(asked, [(true, false, 1); 3]);
}
