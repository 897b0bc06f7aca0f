//! One queue in front of a recogniser: chunks of several inputs are put together into batches.
//!
//! Each input has a [`Seat`]. What is submitted waits until a batch is full, or until nobody is
//! about to submit more: a seat that waits itself holds nobody up. The queue is bounded, so that a
//! slow recogniser holds back the decoders. The oldest chunk is always in the next batch; those
//! nearest to it in length fill it up.

use super::journal::{ChunkKey, Journal};
use super::recogniser::{Batch, Chunk, Recognised, Recogniser, Wanted};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a short batch waits at most for input that is expected.
const LINGER: Duration = Duration::from_secs(2);

/// How often those who wait look at their [`Cancel`].
const TICK: Duration = Duration::from_millis(50);

/// The queue and the threads that work on it. They end when it is dropped.
pub struct Desk {
    shared: Arc<Shared>,
    recogniser: Arc<dyn Recogniser>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes workers: a chunk more, or a seat that rests.
    queued: Condvar,
    /// Wakes seats: an answer, or room.
    answered: Condvar,
    batch: Batch,
    capacity: Batch,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    running: Vec<Running>,
    seats: HashMap<u64, Place>,
    next: u64,
    closed: bool,
}

/// What is known of a seat.
#[derive(Default)]
struct Place {
    /// Whether it waits, so that nothing more comes from it for now.
    resting: bool,
    /// Chunks that were submitted and not answered.
    open: usize,
    answers: Vec<Answer>,
}

struct Job {
    seat: u64,
    ticket: u64,
    samples: Arc<Vec<f32>>,
    wanted: Arc<Wanted>,
    key: ChunkKey,
    journal: Option<Arc<Journal>>,
    since: Instant,
}

struct Running {
    batch: u64,
    seats: Vec<u64>,
    cancel: Cancel,
}

/// What came of a chunk, by the number that [`Seat::submit`] gave.
pub type Answer = (u64, Result<Recognised>);

impl Shared {
    // Every change below leaves the state whole before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, on: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        on.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0
    }

    fn notify_all(&self) {
        self.queued.notify_all();
        self.answered.notify_all();
    }
}

impl Desk {
    /// A desk for `recogniser`, with as many threads as may usefully call it.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] where no thread can be started.
    pub fn new(recogniser: Arc<dyn Recogniser>) -> Result<Self> {
        let (mut batch, callers) = (recogniser.batch(), recogniser.callers().max(1));
        batch.chunks = batch.chunks.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            queued: Condvar::new(),
            answered: Condvar::new(),
            batch,
            capacity: Batch {
                chunks: 2 * batch.chunks * callers,
                samples: batch.samples.saturating_mul(2 * callers),
            },
        });
        let mut desk = Self { shared, recogniser, workers: Vec::new() };
        for _ in 0..callers {
            let (shared, recogniser) = (desk.shared.clone(), desk.recogniser.clone());
            let worker = std::thread::Builder::new()
                .name("recogniser".into())
                .spawn(move || work(&shared, recogniser.as_ref()))
                .map_err(|error| {
                    Error::new(ErrorKind::Resource, Stage::Transcribe, error.to_string())
                })?;
            desk.workers.push(worker);
        }
        Ok(desk)
    }

    /// The recogniser behind it.
    pub fn recogniser(&self) -> &dyn Recogniser {
        self.recogniser.as_ref()
    }

    /// A place for one input. Every result is written to `journal` as soon as it is there.
    pub fn seat(&self, journal: Option<Arc<Journal>>, cancel: &Cancel) -> Seat {
        let mut state = self.shared.lock();
        let id = state.next;
        state.next += 1;
        state.seats.insert(id, Place::default());
        Seat { shared: self.shared.clone(), id, tickets: 0, journal, cancel: cancel.clone() }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        for running in &state.running {
            running.cancel.cancel();
        }
        drop(state);
        self.shared.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its recogniser; there is nobody to tell of others.
            let _ = worker.join();
        }
    }
}

/// One input's place at a [`Desk`]. Dropping it withdraws what was not answered yet.
pub struct Seat {
    shared: Arc<Shared>,
    id: u64,
    tickets: u64,
    journal: Option<Arc<Journal>>,
    cancel: Cancel,
}

impl Seat {
    /// Queues a chunk, once there is room, and gives its number.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn submit(
        &mut self,
        samples: Arc<Vec<f32>>,
        wanted: Arc<Wanted>,
        key: ChunkKey,
    ) -> Result<u64> {
        let ticket = self.tickets;
        self.tickets += 1;
        let mut state = self.shared.lock();
        // A seat without an open chunk gets one in, however full it is: nobody is kept out.
        while self.shared.is_full(&state) && self.place(&mut state).open > 0 {
            state = self.rest(state)?;
        }
        self.place(&mut state).resting = false;
        self.place(&mut state).open += 1;
        state.queue.push_back(Job {
            seat: self.id,
            ticket,
            samples,
            wanted,
            key,
            journal: self.journal.clone(),
            since: Instant::now(),
        });
        drop(state);
        self.shared.queued.notify_all();
        Ok(ticket)
    }

    /// The answers that are there.
    pub fn take(&mut self) -> Vec<Answer> {
        let mut state = self.shared.lock();
        std::mem::take(&mut self.place(&mut state).answers)
    }

    /// Waits for an answer; gives none if nothing is open.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn wait(&mut self) -> Result<Vec<Answer>> {
        let mut state = self.shared.lock();
        loop {
            let place = self.place(&mut state);
            if !place.answers.is_empty() || place.open == 0 {
                place.resting = false;
                return Ok(std::mem::take(&mut place.answers));
            }
            state = self.rest(state)?;
        }
    }

    /// How many chunks may usefully be open at a time.
    pub fn room(&self) -> usize {
        self.shared.capacity.chunks
    }

    fn place<'a>(&self, state: &'a mut State) -> &'a mut Place {
        state.seats.entry(self.id).or_default()
    }

    /// Waits a moment; the workers are told that nothing comes from here meanwhile, once.
    fn rest<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        self.cancel.check(Stage::Transcribe)?;
        if state.closed {
            return Err(Error::cancelled(Stage::Transcribe));
        }
        if !std::mem::replace(&mut self.place(&mut state).resting, true) {
            self.shared.queued.notify_all();
        }
        Ok(self.shared.wait(&self.shared.answered, state))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.seats.remove(&self.id);
        state.queue.retain(|job| job.seat != self.id);
        let State { running, seats, .. } = &mut *state;
        for batch in running {
            if batch.seats.iter().all(|seat| !seats.contains_key(seat)) {
                batch.cancel.cancel();
            }
        }
        drop(state);
        self.shared.notify_all();
    }
}

/// What each worker does until the desk is closed.
fn work(shared: &Shared, recogniser: &dyn Recogniser) {
    loop {
        let mut state = shared.lock();
        let batch = loop {
            if state.closed {
                return;
            }
            if let Some(batch) = next_batch(&mut state, shared.batch, Instant::now()) {
                break batch;
            }
            state = if state.queue.is_empty() {
                shared.queued.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                shared.wait(&shared.queued, state)
            };
        };
        let cancel = Cancel::new();
        let number = state.next;
        state.next += 1;
        let seats = batch.iter().map(|job| job.seat).collect();
        state.running.push(Running { batch: number, seats, cancel: cancel.clone() });
        drop(state);
        shared.answered.notify_all();

        recognise(recogniser, &batch, &cancel, &mut |job, answer| shared.answer(job, answer));
        shared.lock().running.retain(|running| running.batch != number);
    }
}

impl Shared {
    /// Writes down and passes on what came of `job`, while others of its batch may be worked on.
    fn answer(&self, job: &Job, answer: Result<Recognised>) {
        if let (Some(journal), Ok(found)) = (&job.journal, &answer) {
            journal.append(&job.key, found);
        }
        let mut state = self.lock();
        if let Some(place) = state.seats.get_mut(&job.seat) {
            place.open = place.open.saturating_sub(1);
            place.answers.push((job.ticket, answer));
        }
        drop(state);
        self.answered.notify_all();
    }

    fn is_full(&self, state: &State) -> bool {
        let samples: usize = state.queue.iter().map(|job| job.samples.len()).sum();
        state.queue.len() >= self.capacity.chunks || samples >= self.capacity.samples
    }
}

/// Takes the next batch out of the queue, if there is one to be run now.
fn next_batch(state: &mut State, most: Batch, now: Instant) -> Option<Vec<Job>> {
    let oldest = state.queue.front()?;
    let alike = |job: &Job| Arc::ptr_eq(&job.wanted, &oldest.wanted) || job.wanted == oldest.wanted;
    let length = oldest.samples.len();
    let mut places: Vec<(usize, usize)> = state
        .queue
        .iter()
        .enumerate()
        .filter(|(_, job)| alike(job))
        .map(|(place, job)| (job.samples.len().abs_diff(length), place))
        .collect();
    // Nearest in length first; the oldest itself has a distance of 0 and the first place.
    places.sort_unstable();
    places.truncate(most.chunks);
    let mut sum = 0_usize;
    let lengths = places.iter().filter_map(|(_, place)| state.queue.get(*place));
    let fit = lengths.take_while(|job| {
        sum = sum.saturating_add(job.samples.len());
        sum <= most.samples
    });
    let fit = fit.count().max(1);
    let complete = places.len() == most.chunks || fit < places.len();
    let expected = state.seats.values().any(|seat| !seat.resting);
    if !complete && expected && now.duration_since(oldest.since) < LINGER {
        return None;
    }
    places.truncate(fit);
    let mut places: Vec<usize> = places.into_iter().map(|(_, place)| place).collect();
    places.sort_unstable();
    // From the back, so that places stay true.
    let mut batch: Vec<Job> =
        places.iter().rev().filter_map(|&place| state.queue.remove(place)).collect();
    batch.reverse();
    Some(batch)
}

/// Runs a batch, with an answer for each job as soon as there is one. What a failure left is run
/// again chunk by chunk, so that the others do not suffer.
fn recognise(
    recogniser: &dyn Recogniser,
    batch: &[Job],
    cancel: &Cancel,
    answer: &mut dyn FnMut(&Job, Result<Recognised>),
) {
    let all: Vec<&Job> = batch.iter().collect();
    let Some((left, error)) = run(recogniser, &all, cancel, answer) else { return };
    if let ([job], [_]) = (&*left, batch) {
        return answer(job, Err(error));
    }
    for job in left {
        let alone = [job];
        let failed = match cancel.check(Stage::Transcribe) {
            Ok(()) => run(recogniser, &alone, cancel, answer).map(|(_, error)| error),
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            answer(job, Err(error));
        }
    }
}

/// Runs `jobs` together. Gives those that have no answer afterwards, and why.
fn run<'a>(
    recogniser: &dyn Recogniser,
    jobs: &[&'a Job],
    cancel: &Cancel,
    answer: &mut dyn FnMut(&Job, Result<Recognised>),
) -> Option<(Vec<&'a Job>, Error)> {
    let chunks: Vec<Chunk<'_>> = jobs.iter().map(|job| Chunk { samples: &job.samples }).collect();
    let wanted = &jobs.first()?.wanted;
    let mut open = vec![true; jobs.len()];
    let mut give = |at: usize, found| {
        if let (Some(job), Some(open)) = (jobs.get(at), open.get_mut(at))
            && std::mem::take(open)
        {
            answer(job, Ok(found));
        }
    };
    let error = match catch_unwind(AssertUnwindSafe(|| {
        recogniser.recognise(&chunks, wanted, cancel, &mut give)
    })) {
        Ok(Ok(())) => broken("the recogniser lost a chunk"),
        Ok(Err(error)) => error,
        Err(_) => broken("the recogniser panicked"),
    };
    let left: Vec<&Job> =
        jobs.iter().zip(open).filter(|(_, open)| *open).map(|(job, _)| *job).collect();
    (!left.is_empty()).then_some((left, error))
}

fn broken(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, Stage::Transcribe, what)
        .hint("report this, with the file if you can")
}

#[cfg(test)]
mod tests;
