use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Says how long each chunk was, and remembers its batches.
struct Echo {
    batch: usize,
    callers: usize,
    batches: Mutex<Vec<Vec<usize>>>,
    /// Waits in each batch until this is set, or it is cancelled.
    open: AtomicBool,
    cancelled: AtomicUsize,
}

impl Echo {
    fn new(batch: usize, callers: usize) -> Arc<Self> {
        Arc::new(Self {
            batch,
            callers,
            batches: Mutex::default(),
            open: AtomicBool::new(true),
            cancelled: AtomicUsize::new(0),
        })
    }

    fn batches(&self) -> Vec<Vec<usize>> {
        self.batches.lock().unwrap().clone()
    }
}

fn found(text: String) -> Recognised {
    Recognised {
        language: text,
        language_probability: 1.0,
        no_speech_prob: 0.0,
        temperature: 0.0,
        compression_ratio: 1.0,
        pieces: Vec::new(),
    }
}

impl Recogniser for Echo {
    fn model(&self) -> &str {
        "echo"
    }

    fn engine(&self) -> &'static str {
        "test"
    }

    fn batch(&self) -> Batch {
        Batch { chunks: self.batch, samples: usize::MAX }
    }

    fn callers(&self) -> usize {
        self.callers
    }

    fn recognise(
        &self,
        chunks: &[Chunk<'_>],
        _: &Wanted,
        cancel: &Cancel,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> Result<()> {
        while !self.open.load(Ordering::SeqCst) {
            if cancel.is_cancelled() {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                return Err(Error::cancelled(Stage::Transcribe));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.samples.len()).collect();
        self.batches.lock().unwrap().push(lengths.clone());
        for (at, length) in lengths.iter().enumerate() {
            assert_ne!(*length, 13, "an unlucky number");
            give(at, found(length.to_string()));
        }
        Ok(())
    }
}

fn submit(seat: &mut Seat, length: usize, wanted: &Arc<Wanted>) -> u64 {
    let samples = Arc::new(vec![0.0; length]);
    let key = ChunkKey::new(&samples, None);
    seat.submit(samples, wanted.clone(), key).unwrap()
}

fn all(seat: &mut Seat) -> Vec<(u64, String)> {
    let mut out = Vec::new();
    loop {
        let answers = seat.wait().unwrap();
        if answers.is_empty() {
            out.sort();
            return out;
        }
        out.extend(answers.into_iter().map(|(ticket, answer)| (ticket, answer.unwrap().language)));
    }
}

#[test]
fn chunks_of_many_inputs_fill_batches_and_come_back_to_their_own() {
    let echo = Echo::new(4, 2);
    let desk = Desk::new(echo.clone()).unwrap();
    let wanted = Arc::new(Wanted::default());
    std::thread::scope(|scope| {
        for n in 1..=6_usize {
            let (desk, wanted) = (&desk, &wanted);
            scope.spawn(move || {
                let mut seat = desk.seat(None, &Cancel::new());
                for i in 0..20 {
                    submit(&mut seat, n * 100 + i, wanted);
                }
                let expected: Vec<_> =
                    (0..20).map(|i| (i as u64, (n * 100 + i).to_string())).collect();
                assert_eq!(all(&mut seat), expected);
            });
        }
    });
    let batches = echo.batches();
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 120);
    assert!(batches.iter().all(|batch| batch.len() <= 4));
    assert!(batches.len() <= 40, "{} batches for 120 chunks", batches.len());
}

#[test]
fn a_short_batch_runs_as_soon_as_nobody_is_about_to_add_to_it() {
    let echo = Echo::new(8, 1);
    let desk = Desk::new(echo.clone()).unwrap();
    let wanted = Arc::new(Wanted::default());
    let mut seat = desk.seat(None, &Cancel::new());
    for length in [5, 6, 7] {
        submit(&mut seat, length, &wanted);
    }
    assert_eq!(all(&mut seat).len(), 3);
    assert_eq!(echo.batches(), [[5, 6, 7]]);
}

#[test]
fn the_oldest_goes_first_with_those_like_it() {
    let mut state = State::default();
    let wanted = Arc::new(Wanted::default());
    let other = Arc::new(Wanted { translate: true, ..Wanted::default() });
    let lengths = [(100, &wanted), (9, &wanted), (101, &other), (90, &wanted), (111, &wanted)];
    for (ticket, (length, wanted)) in lengths.into_iter().enumerate() {
        let samples = Arc::new(vec![0.0; length]);
        state.queue.push_back(Job {
            seat: 0,
            ticket: ticket as u64,
            key: ChunkKey::new(&samples, None),
            samples,
            wanted: wanted.clone(),
            journal: None,
            since: Instant::now(),
        });
    }
    state.seats.insert(0, Place::default());
    let of = |chunks, samples| Batch { chunks, samples };
    let any = usize::MAX;
    let mut tickets = |size| {
        let batch = next_batch(&mut state, size, Instant::now())?;
        Some(batch.iter().map(|job| job.ticket).collect::<Vec<_>>())
    };
    assert_eq!(tickets(of(3, any)), Some(vec![0, 3, 4]));
    // The seat may add more: two alone wait a while.
    assert_eq!(tickets(of(2, any)), None);
    assert_eq!(tickets(of(1, any)), Some(vec![1]));
    let later = Instant::now() + LINGER;
    assert_eq!(next_batch(&mut state, of(2, any), later).map(|batch| batch.len()), Some(1));
}

#[test]
fn a_batch_is_bounded_by_samples_but_never_empty() {
    let wanted = Arc::new(Wanted::default());
    let mut state = State::default();
    for ticket in 0..4 {
        let samples = Arc::new(vec![0.0; 100]);
        let key = ChunkKey::new(&samples, None);
        let (wanted, since) = (wanted.clone(), Instant::now());
        state.queue.push_back(Job { seat: 0, ticket, key, samples, wanted, journal: None, since });
    }
    state.seats.insert(0, Place::default());
    let mut taken = |samples| {
        let most = Batch { chunks: 8, samples };
        next_batch(&mut state, most, Instant::now()).map(|batch| batch.len())
    };
    // Full by its samples, it waits for nobody.
    assert_eq!(taken(250), Some(2));
    assert_eq!(taken(50), Some(1));
    assert_eq!(taken(250), None);
}

#[test]
fn who_leaves_takes_its_chunks_along() {
    let echo = Echo::new(1, 1);
    echo.open.store(false, Ordering::SeqCst);
    let desk = Desk::new(echo.clone()).unwrap();
    let wanted = Arc::new(Wanted::default());
    let cancel = Cancel::new();
    let mut leaving = desk.seat(None, &cancel);
    submit(&mut leaving, 1, &wanted);
    submit(&mut leaving, 2, &wanted);
    cancel.cancel();
    assert_eq!(leaving.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(leaving);
    let mut staying = desk.seat(None, &Cancel::new());
    submit(&mut staying, 3, &wanted);
    echo.open.store(true, Ordering::SeqCst);
    assert_eq!(all(&mut staying), [(0, "3".to_owned())]);
    let batches = echo.batches();
    assert!(!batches.contains(&vec![2]), "{batches:?}");
}

#[test]
fn a_panic_costs_only_the_chunk_that_caused_it() {
    let echo = Echo::new(3, 1);
    let desk = Desk::new(echo.clone()).unwrap();
    let wanted = Arc::new(Wanted::default());
    let mut seat = desk.seat(None, &Cancel::new());
    for length in [12, 13, 14] {
        submit(&mut seat, length, &wanted);
    }
    let mut answers = Vec::new();
    while answers.len() < 3 {
        answers.extend(seat.wait().unwrap());
    }
    answers.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(answers[0].1.as_ref().unwrap().language, "12");
    assert_eq!(answers[1].1.as_ref().unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(answers[2].1.as_ref().unwrap().language, "14");
    // What was given before the panic was not asked for again.
    assert_eq!(echo.batches(), [vec![12, 13, 14], vec![13], vec![14]]);
}

/// Gives the last chunk of a batch at once, and the others when it is let go on.
struct LastFirst(AtomicBool);

impl Recogniser for LastFirst {
    fn model(&self) -> &str {
        "last first"
    }

    fn engine(&self) -> &'static str {
        "test"
    }

    fn batch(&self) -> Batch {
        Batch { chunks: 3, samples: usize::MAX }
    }

    fn callers(&self) -> usize {
        1
    }

    fn recognise(
        &self,
        chunks: &[Chunk<'_>],
        _: &Wanted,
        cancel: &Cancel,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> Result<()> {
        give(chunks.len() - 1, found("last".into()));
        while !self.0.load(Ordering::SeqCst) {
            cancel.check(Stage::Transcribe)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        (0..chunks.len() - 1).for_each(|at| give(at, found("other".into())));
        Ok(())
    }
}

#[test]
fn a_chunk_is_answered_and_kept_while_others_of_its_batch_are_worked_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let journal = Arc::new(Journal::open(&path, "k").unwrap());
    let recogniser = Arc::new(LastFirst(AtomicBool::new(false)));
    let desk = Desk::new(recogniser.clone()).unwrap();
    let wanted = Arc::new(Wanted::default());
    let mut seat = desk.seat(Some(journal), &Cancel::new());
    for length in [7, 8, 9] {
        submit(&mut seat, length, &wanted);
    }
    let first = seat.wait().unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].0, &*first[0].1.as_ref().unwrap().language), (2, "last"));
    // The file as a kill would leave it now: a head and one line.
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    recogniser.0.store(true, Ordering::SeqCst);
    assert_eq!(all(&mut seat).len(), 2);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
}

#[test]
fn a_full_desk_holds_back_but_keeps_nobody_out() {
    let echo = Echo::new(1, 1);
    echo.open.store(false, Ordering::SeqCst);
    let desk = Desk::new(echo.clone()).unwrap();
    let wanted = Arc::new(Wanted::default());
    let mut seat = desk.seat(None, &Cancel::new());
    let cancel = Cancel::new();
    let mut other = desk.seat(None, &cancel);
    // One runs, two wait.
    for length in [1, 2, 3] {
        submit(&mut seat, length, &wanted);
    }
    submit(&mut other, 4, &wanted);
    cancel.cancel();
    let samples = Arc::new(vec![0.0; 5]);
    let key = ChunkKey::new(&samples, None);
    assert!(other.submit(samples, wanted.clone(), key).is_err(), "there is no room");
    echo.open.store(true, Ordering::SeqCst);
    assert_eq!(all(&mut seat).len(), 3);
}

#[test]
fn what_is_answered_is_in_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let journal = Arc::new(Journal::open(&path, "k").unwrap());
    let desk = Desk::new(Echo::new(2, 1)).unwrap();
    let wanted = Arc::new(Wanted::default());
    let mut seat = desk.seat(Some(journal), &Cancel::new());
    submit(&mut seat, 7, &wanted);
    all(&mut seat);
    drop((seat, desk));
    let journal = Journal::open(&path, "k").unwrap();
    let key = ChunkKey::new(&[0.0; 7], None);
    assert_eq!(journal.find(&key).unwrap().language, "7");
}
