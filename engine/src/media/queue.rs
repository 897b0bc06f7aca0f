//! A queue between threads, bounded by bytes: a full queue holds its producer back, all the way
//! to the demuxer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module. At least one item always fits, however large.
pub(super) struct ByteQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    limit: u64,
}

struct State<T> {
    items: VecDeque<(u64, T)>,
    bytes: u64,
    closed: bool,
}

/// The queue was closed by the other side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl<T> ByteQueue<T> {
    pub(super) fn new(limit: u64) -> Self {
        let state = State { items: VecDeque::new(), bytes: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), limit }
    }

    // A thread that panicked while it held the lock left the queue whole: every change below is
    // a single push or pop.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, then adds `item` of `bytes`.
    pub(super) fn push(&self, bytes: u64, item: T) -> Result<(), Closed> {
        let mut state = self.lock();
        while !state.closed && !state.items.is_empty() && state.bytes + bytes > self.limit {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        state.bytes += bytes;
        state.items.push_back((bytes, item));
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for an item; `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some((bytes, item)) = state.items.pop_front() {
                state.bytes -= bytes;
                self.changed.notify_all();
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the queue: producers are refused, consumers get what is left.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Ends the queue and drops what is left: the work is over before its time.
    pub(super) fn abort(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        state.bytes = 0;
        self.changed.notify_all();
    }
}

/// Closes a queue when dropped, so that the other side never waits for a thread that has ended,
/// by an error or a panic.
pub(super) struct CloseOnDrop<'a, T>(pub &'a ByteQueue<T>);

impl<T> Drop for CloseOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Aborts a queue when dropped: the consumer's counterpart of [`CloseOnDrop`].
pub(super) struct AbortOnDrop<'a, T>(pub &'a ByteQueue<T>);

impl<T> Drop for AbortOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn holds_the_producer_back() {
        let queue = ByteQueue::new(100);
        let waiting = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _close = CloseOnDrop(&queue);
                for i in 0..1000u64 {
                    waiting.fetch_add(30, Ordering::SeqCst);
                    queue.push(30, i).unwrap();
                }
            });
            let mut next = 0;
            while let Some(i) = queue.pop() {
                // 3 in the queue, 1 being pushed, 1 just taken
                assert!(waiting.fetch_sub(30, Ordering::SeqCst) <= 150);
                assert_eq!(i, next);
                next += 1;
            }
            assert_eq!(next, 1000);
        });
    }

    #[test]
    fn an_oversized_item_passes_and_a_closed_queue_refuses() {
        let queue = ByteQueue::new(10);
        queue.push(1000, 'a').unwrap();
        queue.close();
        assert_eq!(queue.push(1, 'b'), Err(Closed));
        assert_eq!(queue.pop(), Some('a'));
        assert_eq!(queue.pop(), None);
    }
}
