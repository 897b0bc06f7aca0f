//! Getting files over http: resumed, retried, bounded in size and time, and not to be led by a
//! redirect into the network of whoever runs this.

use crate::client::{Stop, TICK};
use crate::disk::{self, at};
use crate::error::{FetchCause, ModelsError};
use guard::Guard;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::http::{HeaderMap, Uri};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

mod guard;

/// How long to wait for a name to be looked up, and as long for the connection.
const CONNECT: Duration = Duration::from_secs(4);
/// How long a server may take to begin its answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a server may say nothing in the middle of a file.
const SILENCE: Duration = Duration::from_secs(30);
/// How many times a host that cannot be reached is tried.
const REACH_TRIES: u32 = 2;
/// How many times an answer that breaks off or asks to wait is tried; progress begins the count anew.
const TRIES: u32 = 5;
/// How much must have come for a try to count as progress.
const PROGRESS: u64 = 1 << 20;
const REDIRECTS: usize = 5;
/// What a file of unknown size may grow to.
const MOST: u64 = 16 << 30;
const CHUNK: usize = 1 << 16;

/// Where a file is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub url: String,
    /// Sent to the host of `url` and to no other.
    pub token: Option<Token>,
}

/// A secret, which never shows in an error or a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as the hub gave it.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What a server says of a file before it sends any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The digest or other mark of the content, without quotes.
    pub etag: Option<String>,
    /// The commit that a revision stands for.
    pub commit: Option<String>,
    /// The size of the whole file.
    pub bytes: Option<u64>,
}

/// What a file must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub bytes: Option<u64>,
    pub sha256: Option<&'a str>,
}

/// The way out to the network.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    proxy: Option<String>,
    /// The unit of the pauses between tries.
    pub pause: Duration,
}

/// Why one try failed.
enum Trouble {
    /// Nobody answered.
    Unreachable(String),
    /// The answer broke off, or the server asks to come back later.
    Passing(String),
    /// Another try would end the same way.
    Final(FetchCause),
}

/// What the thread that talks to the server tells the one that waits.
enum Said {
    Head(Head, Span),
    Bytes(Vec<u8>),
    Done,
}

/// Where the bytes that follow belong.
struct Span {
    from: u64,
}

#[derive(Clone)]
struct Request {
    address: Address,
    head_only: bool,
    /// The byte to begin at.
    from: u64,
}

impl Http {
    pub fn new(proxy: Option<String>) -> Self {
        Self { proxy, pause: Duration::from_millis(500) }
    }

    /// Asks what there is at `address` without getting it.
    pub fn head(
        &self,
        address: &Address,
        tick: &mut dyn FnMut() -> Result<(), ModelsError>,
    ) -> Result<Head, Stop> {
        let request = Request { address: address.clone(), head_only: true, from: 0 };
        let mut tries = Tries::new(self.pause);
        loop {
            let mut head = None;
            let done = self.talk(&request, &mut |said| {
                if let Some(Said::Head(found, _)) = said {
                    head = Some(found);
                }
                tick().map_err(Stop::All)
            })?;
            match (done, head) {
                (Ok(()), Some(head)) => return Ok(head),
                (Ok(()), None) => {
                    tries.again(Trouble::Passing("the server said nothing".into()), tick)?
                }
                (Err(trouble), _) => tries.again(trouble, tick)?,
            }
        }
    }

    /// Gets the file at `address` into `part`, going on where an earlier try ended, until it is all
    /// there and is what `wanted` says; gives its digest. What is in `part` is otherwise kept for a
    /// later try, unless it is wrong.
    ///
    /// `tell` is called with the bytes so far and the size, if it is known.
    pub fn get(
        &self,
        address: &Address,
        part: &Path,
        wanted: Wanted<'_>,
        tell: &mut dyn FnMut(u64, Option<u64>) -> Result<(), ModelsError>,
    ) -> Result<String, Stop> {
        let storage = |doing| move |e: io::Error| Stop::All(at(doing, part)(e));
        let mut file = open_part(part).map_err(storage("write"))?;
        let mut tries = Tries::new(self.pause);
        let (mut hash, mut done) = begun(&mut file, wanted, tell).map_err(|e| match e {
            Begun::Told(e) => Stop::All(e),
            Begun::Io(e) => storage("read")(e),
        })?;
        let mut total = wanted.bytes;
        while wanted.bytes.is_none_or(|bytes| done < bytes) {
            let request = Request { address: address.clone(), head_only: false, from: done };
            let start = done;
            let ended = self.talk(&request, &mut |said| {
                match said {
                    Some(Said::Head(head, span)) => {
                        if let (Some(said), Some(pinned)) = (head.bytes, wanted.bytes)
                            && said != pinned
                        {
                            return Err(FetchCause::WrongSize { got: said }.into());
                        }
                        total = wanted.bytes.or(head.bytes);
                        if span.from != done {
                            // The server does not resume, or cannot from here.
                            (hash, done) = (Sha256::new(), 0);
                            file.set_len(0).map_err(storage("write"))?;
                            file.seek(SeekFrom::Start(0)).map_err(storage("write"))?;
                        }
                    }
                    Some(Said::Bytes(bytes)) => {
                        done += bytes.len() as u64;
                        if done > total.unwrap_or(MOST) {
                            return Err(FetchCause::WrongSize { got: done }.into());
                        }
                        hash.update(&bytes);
                        file.write_all(&bytes).map_err(storage("write"))?;
                    }
                    Some(Said::Done) | None => {}
                }
                tell(done, total).map_err(Stop::All)
            });
            let ended = match ended {
                Err(Stop::Cause(cause)) => Err(Trouble::Final(cause)),
                Err(stop) => return Err(stop),
                Ok(ended) => ended,
            };
            match ended {
                Ok(()) if total.is_none_or(|total| done == total) => break,
                Ok(()) => {
                    tries.progress(done.saturating_sub(start));
                    tries.again(
                        Trouble::Passing("the connection closed too early".into()),
                        &mut || tell(done, total),
                    )?;
                }
                Err(trouble) => {
                    if let Trouble::Final(FetchCause::WrongSize { .. }) = trouble {
                        // What is there cannot be the beginning of the right file.
                        let _ = fs::remove_file(part);
                    }
                    tries.progress(done.saturating_sub(start));
                    tries.again(trouble, &mut || tell(done, total))?;
                }
            }
        }
        let got = disk::hex(&hash.finalize());
        if wanted.sha256.is_some_and(|wanted| wanted != got) {
            let _ = fs::remove_file(part);
            return Err(FetchCause::WrongDigest { got }.into());
        }
        file.sync_all().map_err(storage("write"))?;
        Ok(got)
    }

    /// Sends `request` from a thread of its own, so that whoever waits can stop at any time; hears
    /// what comes back, and nothing every so often.
    fn talk(
        &self,
        request: &Request,
        hear: &mut dyn FnMut(Option<Said>) -> Result<(), Stop>,
    ) -> Result<Result<(), Trouble>, Stop> {
        let (tx, rx) = mpsc::sync_channel(16);
        let (line, request) = (self.clone(), request.clone());
        // The thread ends by itself: its next word finds nobody to hear it, and silence is bounded.
        std::thread::spawn(move || {
            if let Err(trouble) = line.speak(&request, &tx) {
                let _ = tx.send(Err(trouble));
            }
        });
        loop {
            match rx.recv_timeout(TICK) {
                Ok(Ok(Said::Done)) => return Ok(Ok(())),
                Ok(Ok(said)) => hear(Some(said))?,
                Ok(Err(trouble)) => return Ok(Err(trouble)),
                Err(RecvTimeoutError::Timeout) => hear(None)?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Err(Trouble::Passing("the transfer ended abruptly".into())));
                }
            }
        }
    }

    fn speak(
        &self,
        request: &Request,
        tx: &SyncSender<Result<Said, Trouble>>,
    ) -> Result<(), Trouble> {
        let (mut head, from, body) = self.open(request)?;
        if !request.head_only && head.bytes.is_none() {
            head.bytes = body.content_length().map(|rest| from.saturating_add(rest));
        }
        if tx.send(Ok(Said::Head(head, Span { from }))).is_err() {
            return Ok(());
        }
        if !request.head_only {
            let mut reader = body.into_reader();
            let mut buffer = vec![0; CHUNK];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => {
                        if tx.send(Ok(Said::Bytes(buffer[..n].to_vec()))).is_err() {
                            return Ok(());
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(Trouble::Passing(e.to_string())),
                }
            }
        }
        let _ = tx.send(Ok(Said::Done));
        Ok(())
    }

    /// Sends the request and follows redirects to the answer. Headers that only the first host may
    /// state (the hub's own) are taken from it and from those it sends to within itself.
    fn open(&self, request: &Request) -> Result<(Head, u64, Body), Trouble> {
        let refused = |message: String| Trouble::Final(FetchCause::Redirect { message });
        let mut uri: Uri = request.address.url.parse().map_err(|e| {
            Trouble::Final(FetchCause::Http { message: format!("no address: {e}") })
        })?;
        let home = host(&uri);
        let mut guard = Guard::learning(self.proxy.is_some());
        let mut head = Head::default();
        for _ in 0..=REDIRECTS {
            let at_home = host(&uri) == home;
            let agent = self.agent(&guard)?;
            let mut call = if request.head_only { agent.head(&uri) } else { agent.get(&uri) }
                .header("accept-encoding", "identity");
            if at_home && let Some(Token(token)) = &request.address.token {
                call = call.header("authorization", format!("Bearer {token}"));
            }
            if request.from > 0 {
                call = call.header("range", format!("bytes={}-", request.from));
            }
            let answer = call.call().map_err(trouble)?;
            guard = guard.learned(&uri);
            let (parts, body) = answer.into_parts();
            if at_home {
                head.take(&parts.headers);
            }
            match parts.status.as_u16() {
                200 => {
                    if head.bytes.is_none() {
                        head.bytes = number(&parts.headers, "content-length");
                    }
                    if head.etag.is_none() && at_home {
                        head.etag = text(&parts.headers, "etag").map(|e| plain_etag(&e));
                    }
                    return Ok((head, 0, body));
                }
                206 => {
                    let (from, bytes) = text(&parts.headers, "content-range")
                        .and_then(|range| content_range(&range))
                        .filter(|(from, _)| *from == request.from)
                        .ok_or_else(|| {
                            Trouble::Final(FetchCause::Http {
                                message: "the server sent another part than was asked for".into(),
                            })
                        })?;
                    if head.bytes.is_none() {
                        head.bytes = bytes;
                    }
                    return Ok((head, from, body));
                }
                301 | 302 | 303 | 307 | 308 => {
                    let target = text(&parts.headers, "location")
                        .ok_or_else(|| refused("a redirect names no place".into()))?;
                    let next = join(&uri, &target)
                        .ok_or_else(|| refused("a redirect names no http address".into()))?;
                    // The hub's own first answer tells all that is asked for here.
                    if request.head_only && host(&next) != home && head.etag.is_some() {
                        return Ok((head, 0, body));
                    }
                    if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                        return Err(refused("a redirect leaves https".into()));
                    }
                    guard.allows(&next).map_err(refused)?;
                    uri = next;
                }
                // What is there is as long as the file or longer: begin anew.
                416 if request.from > 0 => {
                    return self.open(&Request { from: 0, ..request.clone() });
                }
                status @ (408 | 425 | 429 | 500..=599) => {
                    return Err(Trouble::Passing(format!("the server answered {status}")));
                }
                status => {
                    return Err(Trouble::Final(FetchCause::Status {
                        status,
                        with_token: request.address.token.is_some(),
                    }));
                }
            }
        }
        Err(refused(format!("more than {REDIRECTS} redirects")))
    }

    fn agent(&self, guard: &Guard) -> Result<Agent, Trouble> {
        let proxy = match &self.proxy {
            None => None,
            Some(proxy) => Some(ureq::Proxy::new(proxy).map_err(|e| {
                Trouble::Final(FetchCause::Http { message: format!("the proxy's address: {e}") })
            })?),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .user_agent(concat!("rushes/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .max_response_header_size(64 << 10)
            .build();
        Ok(Agent::with_parts(config, DefaultConnector::new(), guard.clone()))
    }
}

impl Head {
    /// Takes what the hub states of a file that it keeps elsewhere.
    fn take(&mut self, headers: &HeaderMap) {
        if let Some(etag) = text(headers, "x-linked-etag") {
            self.etag = Some(plain_etag(&etag));
        }
        if let Some(bytes) = number(headers, "x-linked-size") {
            self.bytes = Some(bytes);
        }
        if let Some(commit) = text(headers, "x-repo-commit") {
            self.commit = Some(commit);
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|text| text.trim().to_owned())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn plain_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Reads `bytes 5-9/10`: the first byte and, if it is known, the whole size.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = span.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((from.parse().ok()?, total))
}

/// What must be equal for two addresses to be one host: what a token may be sent to.
fn host(uri: &Uri) -> (Option<String>, Option<String>, Option<u16>) {
    let scheme = uri.scheme_str().map(str::to_ascii_lowercase);
    let port = uri.port_u16().or(match scheme.as_deref() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    });
    (scheme, uri.host().map(str::to_ascii_lowercase), port)
}

/// The address that `target` means on the page at `base`.
fn join(base: &Uri, target: &str) -> Option<Uri> {
    let origin = || Some(format!("{}://{}", base.scheme_str()?, base.authority()?));
    // A fragment is for whoever reads the page.
    let target = target.split('#').next().unwrap_or_default();
    let whole = if target.starts_with("http://") || target.starts_with("https://") {
        target.to_owned()
    } else if target.starts_with("//") {
        format!("{}:{target}", base.scheme_str()?)
    } else if target.starts_with('/') {
        origin()? + target
    } else if target.is_empty() || target.split(['/', '?']).next()?.contains(':') {
        return None;
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{}{folder}/{target}", origin()?)
    };
    let uri: Uri = whole.parse().ok()?;
    // Names and passwords in an address are for tricks only.
    let honest = uri.authority().is_some_and(|a| !a.as_str().contains('@'));
    (honest && uri.host().is_some_and(|h| !h.is_empty())).then_some(uri)
}

fn trouble(error: ureq::Error) -> Trouble {
    use ureq::{Error, Timeout};
    let said = error.to_string();
    match error {
        Error::HostNotFound | Error::ConnectionFailed => Trouble::Unreachable(said),
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => Trouble::Unreachable(said),
        // A guard that lets no address through, and nothing else here, denies permission.
        Error::Io(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            Trouble::Final(FetchCause::Redirect { message: e.to_string() })
        }
        Error::Io(e) => match e.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::Interrupted => Trouble::Passing(said),
            _ => Trouble::Unreachable(said),
        },
        Error::Timeout(_) | Error::Protocol(_) => Trouble::Passing(said),
        _ => Trouble::Final(FetchCause::Http { message: said }),
    }
}

/// Opens what an earlier try left, or begins.
fn open_part(part: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Nothing that someone else put in its place is written through.
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(part)
}

enum Begun {
    Told(ModelsError),
    Io(io::Error),
}

/// Hashes what `file` holds; a beginning that is too long is none.
fn begun(
    file: &mut File,
    wanted: Wanted<'_>,
    tell: &mut dyn FnMut(u64, Option<u64>) -> Result<(), ModelsError>,
) -> Result<(Sha256, u64), Begun> {
    let mut hash = Sha256::new();
    if file.metadata().map_err(Begun::Io)?.len() > wanted.bytes.unwrap_or(MOST) {
        file.set_len(0).map_err(Begun::Io)?;
    }
    let mut done = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hash, done)),
            Ok(n) => {
                hash.update(&buffer[..n]);
                done += n as u64;
                tell(done, wanted.bytes).map_err(Begun::Told)?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Begun::Io(e)),
        }
    }
}

/// Counts tries and makes the pauses between them longer.
struct Tries {
    unreached: u32,
    broken: u32,
    pause: Duration,
}

impl Tries {
    fn new(pause: Duration) -> Self {
        Self { unreached: 0, broken: 0, pause }
    }

    fn progress(&mut self, bytes: u64) {
        if bytes >= PROGRESS {
            (self.unreached, self.broken) = (0, 0);
        }
    }

    /// Waits before another try, or says that there is none.
    fn again(
        &mut self,
        trouble: Trouble,
        tick: &mut dyn FnMut() -> Result<(), ModelsError>,
    ) -> Result<(), Stop> {
        let tried = match trouble {
            Trouble::Final(cause) => return Err(cause.into()),
            Trouble::Unreachable(said) => {
                self.unreached += 1;
                if self.unreached >= REACH_TRIES {
                    return Err(FetchCause::Unreachable { said }.into());
                }
                self.unreached
            }
            Trouble::Passing(said) => {
                self.broken += 1;
                if self.broken >= TRIES {
                    return Err(FetchCause::Unreachable { said }.into());
                }
                self.broken
            }
        };
        // Jitter, so that many who were cut off at once do not come back at once: between half a
        // unit and one and a half. The clock's low digits are random enough.
        let random =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let unit = self.pause.mul_f64(0.5 + f64::from(random % 1000) / 1000.0);
        let mut left = unit * (1 << (tried - 1).min(4));
        while !left.is_zero() {
            tick().map_err(Stop::All)?;
            let nap = left.min(TICK);
            std::thread::sleep(nap);
            left -= nap;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined_as_browsers_do() {
        let base: Uri = "https://hub.test/a/b/c?x=1".parse().unwrap();
        for (target, wanted) in [
            ("https://cdn.test/f", Some("https://cdn.test/f")),
            ("/api/f?y=2#part", Some("https://hub.test/api/f?y=2")),
            ("//cdn.test/f", Some("https://cdn.test/f")),
            ("d", Some("https://hub.test/a/b/d")),
            ("ftp://cdn.test/f", None),
            ("file:///etc/passwd", None),
            ("https://me:pw@cdn.test/f", None),
            ("http://", None),
            ("", None),
        ] {
            let joined = join(&base, target).map(|uri| uri.to_string());
            assert_eq!(joined.as_deref(), wanted, "{target}");
        }
    }

    #[test]
    fn headers_are_read_with_care() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(content_range("bytes */10"), None);
        assert_eq!(content_range("lines 5-9/10"), None);
        assert_eq!(plain_etag("W/\"ab\""), "ab");
        assert!(!format!("{:?}", Token::new("hf_secret")).contains("secret"));
    }
}
