//! Named places at which a test may end the program, or hold it up: where a crash says the most.
//!
//! `REBOUND_FAIL_POINT=after-mark:3` ends the program at once, as a kill would, when it comes to `after-mark` for the
//! third time; without a number, the first time. `after-mark@250` waits for 250 ms there, every time. A program that
//! is built for use (`--release`) knows nothing of it.
//!
//! | name | where |
//! |---|---|
//! | `before-mark` | the relay has opened DATA, and the hand-over is not marked yet |
//! | `in-commit` | of a group, bounces and what goes back are committed; what was accepted, and the marks, are not |
//! | `after-mark` | the mark is durable, and the final dot is not written |
//! | `after-dot` | the final dot is written, and the reply has not come |
//! | `after-reply` | the reply is there, and not stored |
//! | `planning` | a chunk of the audience is planned, and not committed |
//! | `recovering` | what a dead worker had is taken back, and not committed |
//! | `reading` | a stored report is understood, and what follows from it is not committed |

/// Passes the place that is called `name`: at once, unless a test has named it.
#[cfg(not(debug_assertions))]
#[inline]
pub async fn fail_point(_name: &'static str) {}

/// Begins `work`, passes the place `name` if `work` has to wait, and goes on with it.
#[cfg(not(debug_assertions))]
#[inline]
pub async fn fail_point_amid<F: std::future::Future>(_name: &'static str, work: F) -> F::Output {
    work.await
}

#[cfg(debug_assertions)]
pub use named::{fail_point, fail_point_amid};

#[cfg(debug_assertions)]
mod named {
    use std::future::{Future, poll_fn};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Poll;
    use std::time::Duration;

    const VARIABLE: &str = "REBOUND_FAIL_POINT";

    /// What happens at which place.
    #[derive(Debug, PartialEq, Eq)]
    struct Point {
        name: String,
        what: What,
    }

    #[derive(Debug, PartialEq, Eq)]
    enum What {
        /// The program ends when it comes there for this time, counted from 1.
        End { at: u64 },
        /// It waits there, every time.
        Wait(Duration),
    }

    impl Point {
        /// `None` where the text names no place, or its number is none.
        fn parse(text: &str) -> Option<Self> {
            let (name, what) = match (text.split_once('@'), text.split_once(':')) {
                (Some((name, wait)), _) => (name, What::Wait(Duration::from_millis(wait.parse().ok()?))),
                (None, Some((name, at))) => (name, What::End { at: at.parse().ok()? }),
                (None, None) => (text, What::End { at: 1 }),
            };
            (!name.is_empty()).then(|| Self { name: name.to_owned(), what })
        }
    }

    /// The one place that the environment names.
    fn point() -> Option<&'static Point> {
        static POINT: OnceLock<Option<Point>> = OnceLock::new();
        let read = || std::env::var(VARIABLE).ok().and_then(|text| Point::parse(&text));
        POINT.get_or_init(read).as_ref()
    }

    /// Passes the place that is called `name`: at once, unless a test has named it.
    pub async fn fail_point(name: &'static str) {
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let Some(point) = point().filter(|point| point.name == name) else { return };
        match point.what {
            // Nothing is tidied up, as with SIGKILL.
            What::End { at } if PASSED.fetch_add(1, Ordering::Relaxed) + 1 == at => std::process::abort(),
            What::End { .. } => {}
            What::Wait(time) => tokio::time::sleep(time).await,
        }
    }

    /// Begins `work`, passes the place `name` if `work` has to wait, and goes on with it.
    pub async fn fail_point_amid<F: Future>(name: &'static str, work: F) -> F::Output {
        tokio::pin!(work);
        let begun = poll_fn(|context| {
            Poll::Ready(match work.as_mut().poll(context) {
                Poll::Ready(done) => Some(done),
                Poll::Pending => None,
            })
        });
        match begun.await {
            Some(done) => done,
            None => {
                fail_point(name).await;
                work.await
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{Point, What};
        use std::time::Duration;

        #[test]
        fn a_place_is_named_with_what_happens_there() {
            let point = |name: &str, what| Some(Point { name: name.to_owned(), what });
            for (text, expected) in [
                ("after-mark", point("after-mark", What::End { at: 1 })),
                ("after-mark:3", point("after-mark", What::End { at: 3 })),
                ("reading@250", point("reading", What::Wait(Duration::from_millis(250)))),
                ("", None),
                (":3", None),
                ("after-mark:often", None),
            ] {
                assert_eq!(Point::parse(text), expected, "{text}");
            }
        }

        #[tokio::test]
        async fn work_that_is_begun_amid_a_place_comes_to_its_end() {
            assert_eq!(super::fail_point_amid("nowhere", async { 7 }).await, 7);
            let later = async {
                tokio::task::yield_now().await;
                8
            };
            assert_eq!(super::fail_point_amid("nowhere", later).await, 8);
        }
    }
}
