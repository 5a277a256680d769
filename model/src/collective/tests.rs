use super::*;

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
