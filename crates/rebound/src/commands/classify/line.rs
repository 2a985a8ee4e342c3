//! A line of work: taken in order, done by several threads at once, handed on in the same order.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Pieces that are given to a thread at once, so that small ones do not cost more to hand over than to do.
const PIECES: usize = 32;
/// Portions that are ahead of the one that is written, for each thread. What is in memory is never more.
const AHEAD: usize = 2;
/// A portion is not made to wait for more when it weighs so much already, in bytes.
const HEAVY: usize = 256 << 10;

/// Something that takes up memory while it waits.
pub(super) trait Weighs {
    /// About how much, in bytes.
    fn weight(&self) -> usize;
}

/// A portion, and where its outcome goes.
type Work<T, R> = (Vec<T>, Sender<Vec<R>>);

/// Does `work` on each of `pieces` with so many `threads`, and gives the outcomes to `hand_on` in the order of the
/// pieces. Pieces are taken as they are needed. With one thread, all happens on the caller's.
///
/// # Errors
/// The first error of `hand_on`: nothing more is taken then.
pub(super) fn in_order<T: Weighs + Send, R: Send, E>(
    threads: usize,
    pieces: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> R + Sync,
    mut hand_on: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    if threads <= 1 {
        return pieces.map(work).try_for_each(hand_on);
    }
    std::thread::scope(|scope| {
        let ahead = threads * AHEAD;
        // Both ends of this scope are let go where nobody listens any more, so that each thread comes to its end.
        let (ordered, outcomes) = sync_channel::<Receiver<Vec<R>>>(ahead);
        let (waiting, portions) = sync_channel::<Work<T, R>>(ahead);
        scope.spawn(move || {
            for portion in (Portions { pieces }) {
                let (done, outcome) = channel();
                if ordered.send(outcome).is_err() || waiting.send((portion, done)).is_err() {
                    return;
                }
            }
        });
        let (portions, work) = (Mutex::new(portions), &work);
        let portions = std::sync::Arc::new(portions);
        for _ in 0..threads {
            let portions = std::sync::Arc::clone(&portions);
            scope.spawn(move || {
                loop {
                    let next = portions.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((portion, done)) = next else { return };
                    // Nobody waits for it where handing on failed.
                    let _ = done.send(portion.into_iter().map(work).collect());
                }
            });
        }
        drop(portions);
        outcomes.into_iter().flat_map(|outcome| outcome.recv().unwrap_or_default()).try_for_each(&mut hand_on)
    })
}

/// Pieces in portions: many small ones, or a heavy one alone.
struct Portions<I> {
    pieces: I,
}

impl<T: Weighs, I: Iterator<Item = T>> Iterator for Portions<I> {
    type Item = Vec<T>;

    fn next(&mut self) -> Option<Vec<T>> {
        let (mut portion, mut weight) = (Vec::new(), 0);
        while portion.len() < PIECES && weight < HEAVY {
            let Some(piece) = self.pieces.next() else { break };
            weight += piece.weight();
            portion.push(piece);
        }
        (!portion.is_empty()).then_some(portion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    impl Weighs for usize {
        fn weight(&self) -> usize {
            HEAVY / 8
        }
    }

    #[test]
    fn outcomes_come_in_the_order_of_the_pieces_however_long_each_takes() {
        for threads in [1, 2, 5] {
            let mut heard = Vec::new();
            let slow_now_and_then = |n: usize| {
                if n.is_multiple_of(7) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                n * 2
            };
            in_order(threads, 0..500_usize, slow_now_and_then, |n| {
                heard.push(n);
                Ok::<(), ()>(())
            })
            .unwrap();
            assert_eq!(heard, (0..500).map(|n| n * 2).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn little_is_taken_ahead_of_what_was_handed_on() {
        let taken = AtomicUsize::new(0);
        let pieces = (0..4_000_usize).inspect(|_| {
            taken.fetch_add(1, Ordering::SeqCst);
        });
        let mut handed_on = 0;
        let most = 2 * (2 * AHEAD + 2 + 2) * PIECES;
        in_order(
            2,
            pieces,
            |n| n,
            |_| {
                handed_on += 1;
                let ahead = taken.load(Ordering::SeqCst) - handed_on;
                if ahead > most { Err(ahead) } else { Ok(()) }
            },
        )
        .unwrap();
        assert_eq!(handed_on, 4_000);
    }

    #[test]
    fn nothing_hangs_where_nobody_takes_the_outcomes() {
        let taken = AtomicUsize::new(0);
        let pieces = (0..100_000_usize).inspect(|_| {
            taken.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(
            in_order(3, pieces, |n| n, |n| if n == 10 { Err("the pipe is closed") } else { Ok(()) }),
            Err("the pipe is closed")
        );
        assert!(taken.load(Ordering::SeqCst) < 1_000);
    }
}
