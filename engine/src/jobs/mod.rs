//! Work that outlives programs: a queue of jobs on disk, that several workers share.
//!
//! [`Queue`] is what every implementation keeps to; [`SqliteQueue`] is one file. What both owe is written
//! as tests (`conformance`), which a further implementation has to pass too. A worker claims a job for
//! a while and says again and again that it lives; one that fell silent loses the job to another, and
//! its late result is refused by the fencing token of its claim. Times are given by callers, in
//! milliseconds since 1970, so that nothing here depends on a clock.

mod action;
mod backoff;
#[cfg(test)]
mod conformance;
mod effort;
mod isolation;
mod message;
mod sqlite;

pub use action::{Action, Embed, Frames, Pipeline, Process, Render, Step, Transcribe};
pub use backoff::Backoff;
pub use effort::{Budget, By, Effort, Prices, Quota, Rules, Standing, TenantRules, day_began};
pub use message::{Message, On, VERSION, message_schema};
pub use sqlite::{QUEUE, SqliteQueue};

pub use crate::sched::Priority;

use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds since 1970.
pub type UnixMillis = i64;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits: for a worker, for its time, or for what it needs.
    Ready,
    /// A worker has it.
    Running,
    /// It is done.
    Done,
    /// It failed in a way that trying again does not mend.
    Failed,
    /// It was tried often enough, or cost too many workers: set aside.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl JobState {
    /// The word used in the file and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Ready | Self::Running)
    }

    fn of(word: &str) -> Option<Self> {
        let all =
            [Self::Ready, Self::Running, Self::Done, Self::Failed, Self::Dead, Self::Cancelled];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

/// A job to be taken on.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// What is to be done with what.
    pub message: Message,
    /// What makes it the same job: a second one with this key is not taken on, the first is told.
    pub key: String,
    /// What it was submitted with.
    pub batch: String,
    /// How large its input is: of equally urgent jobs the largest comes first.
    pub bytes: u64,
    /// Jobs that must be done before.
    pub needs: Vec<i64>,
    /// How often it is tried, at least 1.
    pub attempts: u32,
    /// Bytes of main memory that a worker must have to take it.
    pub memory: u64,
}

/// What became of a [`NewJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its number; of a pipeline, that of the last step: once it is done, all are.
    pub id: i64,
    /// Whether it was there already.
    pub known: bool,
    /// The numbers of all its steps; of a job that is no pipeline, its own.
    pub steps: Vec<i64>,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobRow {
    /// Its number in this queue.
    pub id: i64,
    /// What is to be done with what.
    pub message: Message,
    /// What it was submitted with.
    pub batch: String,
    /// Where it stands.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: u32,
    /// How often it may be.
    pub attempts_most: u32,
    /// Processes that died over it.
    pub kills: u32,
    /// How often it was lost with the worker that held it.
    pub losses: u32,
    /// Who has it.
    pub worker: Option<String>,
    /// When it may be tried (again).
    pub ready_at: UnixMillis,
    /// When it was taken on.
    pub created_at: UnixMillis,
    /// When its last attempt began.
    pub started_at: Option<UnixMillis>,
    /// When it was over.
    pub finished_at: Option<UnixMillis>,
    /// The class of its last failure.
    pub error_kind: Option<String>,
    /// Its last failure.
    pub error: Option<String>,
    /// What it cost, all attempts together.
    pub cost: Cost,
    /// What each stage of the last attempt took.
    pub stages: Vec<StageCost>,
    /// Where the last attempt ran that ended, and why there.
    pub way: Option<Way>,
}

/// Where an attempt ran, and why there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The alternative: `gpu f16`, `gpu int8`, `cpu`.
    pub name: String,
    /// The device: `cpu`, or a GPU by name and id.
    pub device: String,
    /// Why a better alternative was passed over; `None` where the best was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// What a stage of a job took. Stages share the threads of their process, so only their time can be
/// told apart, not their processors'.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageCost {
    /// Its name.
    pub stage: String,
    /// How long it took, a reading that it shared with others included.
    pub wall_ms: u64,
}

/// All that is told of an attempt when it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it cost.
    pub cost: Cost,
    /// What its stages took.
    pub stages: Vec<StageCost>,
    /// Where it ran.
    pub way: Option<Way>,
    /// The last of what its process said; more than [`MOST_SAID`] bytes are cut at the front.
    pub said: String,
}

impl From<Cost> for Account {
    fn from(cost: Cost) -> Self {
        Self { cost, ..Self::default() }
    }
}

/// Bytes of a process's words that are kept for each attempt.
pub const MOST_SAID: usize = 8 << 10;

/// What an attempt cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Time from beginning to end.
    pub wall_ms: u64,
    /// Processor time.
    pub cpu_ms: u64,
    /// The most main memory at once; the largest of several attempts.
    pub peak_bytes: u64,
    /// Time of GPUs: of the attempt, by the part of the GPU that was promised to it.
    #[serde(default)]
    pub gpu_ms: u64,
    /// Bytes of the input.
    pub bytes_in: u64,
    /// Bytes that were written to files.
    #[serde(default)]
    pub bytes_out: u64,
    /// Energy of GPUs in millijoules, where the driver tells it: each GPU's, shared out among those
    /// who ran on it.
    #[serde(default)]
    pub energy_mj: u64,
}

impl Cost {
    /// Both together; the peak is the larger.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            wall_ms: self.wall_ms.saturating_add(other.wall_ms),
            cpu_ms: self.cpu_ms.saturating_add(other.cpu_ms),
            peak_bytes: self.peak_bytes.max(other.peak_bytes),
            gpu_ms: self.gpu_ms.saturating_add(other.gpu_ms),
            bytes_in: self.bytes_in.saturating_add(other.bytes_in),
            bytes_out: self.bytes_out.saturating_add(other.bytes_out),
            energy_mj: self.energy_mj.saturating_add(other.energy_mj),
        }
    }
}

/// A claim's proof: only the last claim of a job may say something of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The job.
    pub id: i64,
    /// Grows with every claim in the queue.
    pub fence: i64,
}

/// A claimed job.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What every later word must carry.
    pub token: Token,
    /// The job.
    pub job: JobRow,
    /// What an earlier attempt kept.
    pub checkpoint: Option<Vec<u8>>,
}

/// What a worker learns when it says that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Go on.
    Yes,
    /// Somebody wants the job stopped.
    CancelAsked,
    /// The claim is over: stop, and throw the result away.
    Lost,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// Well.
    Done,
    /// Badly.
    Failed {
        /// The class of the failure.
        kind: String,
        /// What is wrong.
        message: String,
        /// Whether trying again may help.
        retry: bool,
    },
    /// The worker's child died without a word.
    WorkerDied(String),
    /// The worker's child got on no more and was ended; counts as a death.
    Stalled(String),
    /// It was stopped because somebody cancelled it.
    Cancelled,
    /// It was put back unharmed, as when a worker ends; this counts as no attempt.
    PutBack,
}

/// Which jobs a worker can do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Can {
    /// Names of actions ([`Action::name`]).
    pub actions: Vec<&'static str>,
    /// Only of this batch.
    pub batch: Option<String>,
    /// Not of these tenants.
    pub without_tenants: Vec<String>,
    /// Not of these batches.
    pub without_batches: Vec<String>,
    /// Bytes of main memory that it has; `None` for no limit.
    pub memory: Option<u64>,
    /// Whether it has a GPU: without one, jobs that must run there ([`On::Gpu`]) are not for it.
    pub gpu: bool,
    /// Weights of tenants; `*` stands for those that are not listed, 1 where that is not listed either.
    pub weights: std::collections::BTreeMap<String, u32>,
}

impl Can {
    /// The weight of `tenant`, at least 1.
    pub fn weight(&self, tenant: &str) -> u32 {
        let listed = self.weights.get(tenant).or_else(|| self.weights.get("*"));
        listed.copied().unwrap_or(1).max(1)
    }
}

/// Which jobs are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// These; empty for all.
    pub ids: Vec<i64>,
    /// Of this batch.
    pub batch: Option<String>,
    /// In one of these states; empty for all.
    pub states: Vec<JobState>,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub text: String,
    /// Whether the job's process said it; otherwise the queue tells what happened.
    pub said: bool,
}

/// Processes that may die over a job before it is set aside.
pub const MOST_KILLS: u32 = 2;

/// How often a job may be lost with the worker that held it. That is seldom the job's fault: a machine
/// that is switched off takes all of them with it. So it counts as no attempt, but not without end.
pub const MOST_LOSSES: u32 = 10;

/// A queue that outlives programs. All of these are atomic, and what they gave back survives a loss of
/// power; failures are those of [`SqliteQueue::open`].
pub trait Queue: Send + Sync {
    /// Takes on all of `jobs` or none. A pipeline becomes a job for each step.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] if more than [`Queue::room`] would wait; its hint says when there may
    /// be room, by what was done in the last hour.
    fn submit(&self, jobs: &[NewJob], now: UnixMillis) -> Result<Vec<Submitted>>;

    /// How many more jobs may wait.
    ///
    /// # Errors
    /// Storage.
    fn room(&self) -> Result<u64>;

    /// The next jobs for `worker`, at most `most`, for as long as `lease`.
    ///
    /// Between tenants by start-time fair queueing (Goyal, Vin, Cheng 1996) over what their jobs took of
    /// devices, by weight: a claim is charged what jobs of its action took on average, the end corrects
    /// that, and a tenant that had nothing to do has saved nothing. Inside a tenant: priority raised by
    /// waiting, then the largest input, then the first submitted.
    ///
    /// # Errors
    /// Storage.
    fn claim_some(
        &self,
        worker: &str,
        can: &Can,
        now: UnixMillis,
        lease: Duration,
        most: usize,
    ) -> Result<Vec<Claim>>;

    /// The next job for `worker`, as [`Queue::claim_some`].
    ///
    /// # Errors
    /// Storage.
    fn claim(
        &self,
        worker: &str,
        can: &Can,
        now: UnixMillis,
        lease: Duration,
    ) -> Result<Option<Claim>> {
        Ok(self.claim_some(worker, can, now, lease, 1)?.pop())
    }

    /// Says that the worker lives, and keeps its claims for as long as `lease` from now; one answer for
    /// each.
    ///
    /// # Errors
    /// Storage.
    fn beat_all(&self, tokens: &[Token], now: UnixMillis, lease: Duration) -> Result<Vec<Held>>;

    /// As [`Queue::beat_all`], for one.
    ///
    /// # Errors
    /// Storage.
    fn beat(&self, token: Token, now: UnixMillis, lease: Duration) -> Result<Held> {
        Ok(self.beat_all(&[token], now, lease)?.pop().unwrap_or(Held::Lost))
    }

    /// Keeps `data` for a later attempt; false if the claim is over. For workers whose actions cannot
    /// tell from their outputs how far they came; those of the command line all can.
    ///
    /// # Errors
    /// Storage.
    fn checkpoint(&self, token: Token, data: &[u8]) -> Result<bool>;

    /// Notes what happened to a job that goes on being worked on, and whether a process died over it;
    /// the number of those since it was submitted or retried, or `None` if the claim is over.
    ///
    /// # Errors
    /// Storage.
    fn note(&self, token: Token, text: &str, died: bool, now: UnixMillis) -> Result<Option<u32>>;

    /// Ends an attempt. False if the claim is over: nothing is changed, and the result must not be used.
    ///
    /// # Errors
    /// Storage.
    fn finish(
        &self,
        token: Token,
        how: &Finish,
        account: &Account,
        now: UnixMillis,
    ) -> Result<bool>;

    /// Takes the jobs of workers that fell silent from them, and fails those whose needs failed; how
    /// many changed. Where a clock was set back, what waits does not wait longer for that than the
    /// longest back-off, or an hour for a claim.
    ///
    /// # Errors
    /// Storage.
    fn tidy(&self, now: UnixMillis) -> Result<u64>;

    /// Takes its jobs from a worker that is known to be dead; how many it had.
    ///
    /// # Errors
    /// Storage.
    fn bury(&self, worker: &str, now: UnixMillis) -> Result<u64>;

    /// The jobs that are meant, in the order of their numbers.
    ///
    /// # Errors
    /// Storage.
    fn list(&self, which: &Which) -> Result<Vec<JobRow>>;

    /// How many of a batch (or of all) are in each state.
    ///
    /// # Errors
    /// Storage.
    fn count(&self, batch: Option<&str>) -> Result<std::collections::BTreeMap<JobState, u64>>;

    /// How many jobs wait or run that a worker could take now or once what they need is done. Those
    /// that need a job that waits and is not for it are not counted.
    ///
    /// # Errors
    /// Storage.
    fn left(&self, can: &Can) -> Result<u64>;

    /// Effort since `since`, of a batch or of all, added up and in the order of the names. Jobs that
    /// were forgotten count.
    ///
    /// # Errors
    /// Storage.
    fn efforts(&self, by: By, batch: Option<&str>, since: UnixMillis) -> Result<Vec<Effort>>;

    /// How many jobs of each tenant wait or run.
    ///
    /// # Errors
    /// Storage.
    fn waiting(&self) -> Result<std::collections::BTreeMap<String, u64>>;

    /// A job's log.
    ///
    /// # Errors
    /// Storage.
    fn logs(&self, id: i64) -> Result<Vec<LogLine>>;

    /// Cancels: who waits at once, who runs as soon as its worker hears of it. How many were meant.
    ///
    /// # Errors
    /// Storage.
    fn cancel(&self, which: &Which, now: UnixMillis) -> Result<u64>;

    /// Has failed, dead and cancelled jobs tried anew; how many.
    ///
    /// # Errors
    /// Storage.
    fn retry(&self, which: &Which, now: UnixMillis) -> Result<u64>;

    /// Forgets jobs that are over; how many.
    ///
    /// # Errors
    /// Storage.
    fn clear(&self, which: &Which) -> Result<u64>;

    /// Has no more jobs claimed, or again.
    ///
    /// # Errors
    /// Storage.
    fn pause(&self, paused: bool) -> Result<()>;

    /// Whether jobs may be claimed.
    ///
    /// # Errors
    /// Storage.
    fn is_paused(&self) -> Result<bool>;
}
