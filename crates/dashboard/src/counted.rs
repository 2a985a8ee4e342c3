//! Figures that take long to count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The last count of something: it is counted anew for whoever asks, unless that takes long. Then it is kept for
/// twenty times as long as it took, so that people who look at it cost a part of the database and not all of it.
#[derive(Clone, Debug)]
pub struct Counted<T>(Arc<Mutex<Option<Count<T>>>>);

#[derive(Debug)]
struct Count<T> {
    value: T,
    until: Instant,
}

/// What is counted faster is never kept.
const QUICK: Duration = Duration::from_millis(100);
const PART: u32 = 20;

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Counted<T> {
    /// The last count where it may still be told, else a new one.
    ///
    /// # Errors
    /// Those of `count`.
    pub(crate) async fn get<E>(&self, count: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if let Some(kept) = self.kept() {
            return Ok(kept);
        }
        let begun = Instant::now();
        let value = count.await?;
        let took = begun.elapsed();
        if took > QUICK {
            let until = Instant::now() + took * PART;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Count { value: value.clone(), until });
        }
        Ok(value)
    }

    fn kept(&self) -> Option<T> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|count| Instant::now() < count.until).map(|count| count.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_takes_long_is_kept() {
        let counted = Counted::default();
        let quick = async |value| counted.get(async { Ok::<_, ()>(value) }).await.unwrap();
        assert_eq!((quick(1).await, quick(2).await), (1, 2));

        let slow = async {
            tokio::time::sleep(QUICK * 2).await;
            Ok::<_, ()>(3)
        };
        assert_eq!(counted.get(slow).await, Ok(3));
        assert_eq!(quick(4).await, 3, "it may be told for a while");
        assert_eq!(counted.get(async { Err::<i32, _>(()) }).await, Ok(3));
    }
}
