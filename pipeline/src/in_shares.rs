//! Processes a slice once with several threads.

use std::thread;

/// Divides `items` into one share a thread, and gives what `work` makes of each share, in order.
pub(crate) fn in_shares<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    name: &str,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let mut shares = items.chunks(items.len().div_ceil(threads.max(1)).max(1));
    let Some(own) = shares.next() else { return Vec::new() };
    let work = &work;
    thread::scope(|scope| {
        let spawn = |(number, share)| {
            let builder = thread::Builder::new().name(format!("{name}-{number}"));
            builder.spawn_scoped(scope, move || work(share)).expect("the system can start a thread")
        };
        let workers: Vec<_> = shares.enumerate().map(spawn).collect();
        let mut done = vec![work(own)];
        done.extend(
            workers.into_iter().map(|worker| worker.join().expect("the decoder's panics are caught")),
        );
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_their_order() {
        let items: Vec<u32> = (0..10).collect();
        for threads in [0, 1, 3, 10, 40] {
            assert_eq!(in_shares(&items, threads, "test", <[u32]>::to_vec).concat(), items);
        }
        assert!(in_shares(&[] as &[u32], 4, "test", <[u32]>::to_vec).is_empty());
    }
}
