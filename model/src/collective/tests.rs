use super::*;
use crate::tensors::View;

/// What each of `size` ranks comes to.
fn each_rank<R: Send>(size: usize, work: impl Fn(Threads) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let start = |rank| scope.spawn(|| work(rank));
        let threads: Vec<_> = Threads::group(size).into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("no rank panics")).collect()
    })
}

#[test]
fn every_rank_gets_what_all_have_in_their_order() {
    for round in each_rank(3, |threads| {
        let ranks = Ranks::new(Arc::new(threads), SumOrder::Any);
        let first = ranks.all_gather(&[ranks.rank() as u64, 7]);
        let text = ranks.all_gather_text(["", "one", "äöü"][ranks.rank()]);
        (first, text)
    }) {
        assert_eq!(round, (vec![0, 7, 1, 7, 2, 7], vec!["".into(), "one".into(), "äöü".into()]));
    }
}

#[test]
fn parts_are_added_up_as_ranks_of_them_would() {
    let values: Vec<f32> = (0..8 * 3).map(|i| (i as f32 * 0.7).sin() * 10f32.powi(i % 7)).collect();
    let mut at_once = values.clone();
    sum_parts(&mut at_once, 8);
    for size in [2, 4, 8] {
        let own = values.chunks(values.len() / size).map(|own| {
            let mut own = own.to_vec();
            sum_parts(&mut own, 8 / size);
            own
        });
        let mut all = own.collect::<Vec<_>>().concat();
        sum_parts(&mut all, size);
        assert_eq!(all, at_once);
    }
}

#[test]
fn images_are_shuffled_among_ranks_with_batch_norms_of_their_own_and_put_back() {
    const SHARE: usize = 4;
    let dev = Cpu::default();
    let image = |sample: usize| [sample as f32; 3];
    let shares = each_rank(2, |threads| {
        let ranks = Ranks::new(Arc::new(threads), SumOrder::Any);
        let samples: Vec<_> = (0..SHARE).map(|i| 10 + SHARE * ranks.rank() + i).collect();
        assert!(Shuffle::of(&ranks, &samples).is_none(), "batch norm looks across the ranks");
        let ranks = ranks.without_batch_norm();
        let shuffle = Shuffle::of(&ranks, &samples).expect("batch norms of their own");
        let pixels: Vec<f32> = samples.iter().flat_map(|&sample| image(sample)).collect();
        let share = shuffle.share(&View::copied(&dev, 1, &pixels)).sized::<1>().as_vec();
        let keys: Features<Cpu, 3> = dev.tensor_from_vec(share.clone(), (SHARE, Const));
        (share, shuffle.undone(&ranks.gather(keys)).as_vec())
    });
    let in_order: Vec<f32> = (10..10 + 2 * SHARE).flat_map(image).collect();
    let [(first, keys), (second, others)] = &shares[..] else { panic!("two ranks") };
    assert!(*keys == in_order && others == keys, "{keys:?} {others:?}");
    assert_ne!([&first[..], second].concat(), in_order);
    assert!(first.iter().any(|&sample| sample >= 14.0), "images change ranks: {first:?}");
}
