//! The hub and plain addresses, played by a server in this process.

use super::*;
use crate::catalogue::Task;
use crate::http::Token;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A few hundred kilobytes with no pattern that would hide a slip.
fn body() -> Vec<u8> {
    let mut x = 1u32;
    (0..300_000)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        })
        .collect()
}

fn sha(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// What was asked: the method, the path, and the headers by lower-case name.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    path: String,
    headers: HashMap<String, String>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn from(&self) -> usize {
        let range = self.header("range").unwrap_or("bytes=0-");
        range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
    }
}

type Answer = dyn Fn(&Asked, usize) -> Vec<u8> + Send + Sync;

/// A server that notes what it was asked and closes after each answer.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    address: std::net::SocketAddr,
}

impl Server {
    /// `answer` gets the request and how many came before it, and gives the whole answer.
    fn new(ip: &str, answer: impl Fn(&Asked, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (notes, stopped) = (asked.clone(), stop.clone());
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (notes, answer) = (notes.clone(), answer.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &notes, &*answer));
            }
        });
        Self { url: format!("http://{address}"), asked, stop, address }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn gets(&self) -> usize {
        self.asked().iter().filter(|a| a.method == "GET").count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, notes: &Mutex<Vec<Asked>>, answer: &Answer) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let mut words = first.split(' ');
    let mut asked = Asked {
        method: words.next().unwrap().into(),
        path: words.next().unwrap().into(),
        headers: HashMap::new(),
    };
    for line in lines {
        let line = line.unwrap();
        let Some((name, value)) = line.split_once(':') else { break };
        asked.headers.insert(name.to_ascii_lowercase(), value.trim().into());
    }
    let number = {
        let mut notes = notes.lock().unwrap();
        notes.push(asked.clone());
        notes.len() - 1
    };
    let _ = stream.write_all(&answer(&asked, number));
    let _ = stream.shutdown(Shutdown::Write);
}

fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    let mut bytes = (text + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What an honest server says: all of `body`, or from where the request begins.
fn honest(asked: &Asked, body: &[u8]) -> Vec<u8> {
    let (from, total) = (asked.from(), body.len());
    let length = (total - from).to_string();
    let mut headers = vec![("content-length", length.as_str()), ("x-repo-commit", COMMIT)];
    let etag = format!("\"{}\"", sha(body));
    headers.push(("x-linked-etag", &etag));
    let size = total.to_string();
    headers.push(("x-linked-size", &size));
    let range = format!("bytes {from}-{}/{total}", total - 1);
    let rest = if asked.method == "HEAD" { &[] } else { &body[from..] };
    if from > 0 {
        headers.push(("content-range", &range));
        answer("206 Partial Content", &headers, rest)
    } else {
        answer("200 OK", &headers, rest)
    }
}

fn hub_file(sha256: Option<String>, bytes: Option<u64>) -> ArtefactFile {
    ArtefactFile {
        name: "f.bin".into(),
        bytes,
        sha256,
        machine: None,
        sources: vec![Source::Huggingface {
            repo: "org/name".into(),
            revision: "main".into(),
            file: "sub/f.bin".into(),
        }],
    }
}

fn artefact(name: &str, file: ArtefactFile) -> Artefact {
    Artefact {
        name: name.into(),
        task: Task::Speech,
        about: "a".into(),
        licence: "MIT".into(),
        credit: "c".into(),
        dims: None,
        pictures: None,
        memory: Default::default(),
        fallback: None,
        files: vec![file],
    }
}

fn pinned(body: &[u8]) -> Artefact {
    artefact("thing", hub_file(Some(sha(body)), Some(body.len() as u64)))
}

fn from_url(url: String, body: &[u8]) -> Artefact {
    let mut artefact = pinned(body);
    artefact.files[0].sources = vec![Source::Url { url }];
    artefact
}

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new(endpoint: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path().join("store"));
        settings.hub.endpoint = endpoint.into();
        settings.hub.cache = dir.path().join("hf");
        let mut store = Store::with(settings);
        store.http.pause = Duration::from_millis(1);
        store.clients =
            Clients { npm: dir.path().join("no-npm").into(), python: "no-python".into() };
        Self { dir, store }
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("hf/models--org--name")
    }

    fn parts(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().contains("part") {
                    found.push(path);
                }
            }
        }
        found
    }
}

fn go_on(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The one cause of a pull that failed.
fn cause(bench: &Bench, artefact: &Artefact) -> FetchCause {
    match bench.store.pull(artefact, go_on) {
        Err(ModelsError::Fetch { mut failures, .. }) => failures.pop().unwrap().cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_of_the_hub_goes_where_other_tools_look_for_it() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let bench = Bench::new(&server.url);
    let artefact = pinned(&body);
    let mut told = Vec::new();
    let paths = bench
        .store
        .pull(&artefact, |p| {
            if let Progress::Downloading { done, total, .. } = p {
                told.push((done, total));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(told.last(), Some(&(300_000, Some(300_000))));
    let repo = bench.repo();
    assert_eq!(paths, [repo.join(format!("snapshots/{COMMIT}/sub/f.bin"))]);
    let link = fs::read_link(&paths[0]).unwrap();
    assert_eq!(link, PathBuf::from(format!("../../../blobs/{}", sha(&body))));
    assert_eq!(fs::read(&paths[0]).unwrap(), body);
    assert_eq!(fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(bench.parts(), Vec::<PathBuf>::new());
    assert_eq!(server.asked()[0].path, "/org/name/resolve/main/sub/f.bin");
    let before = server.asked().len();
    bench.store.pull(&artefact, |_| panic!("there is nothing to tell")).unwrap();
    assert_eq!(bench.store.ready(&artefact).unwrap(), paths);
    assert_eq!(bench.store.look(&artefact).unwrap(), paths);
    assert_eq!(server.asked().len(), before);

    // Another commit that names the same content keeps it; the last one frees it.
    let other = repo.join("snapshots/ffff/sub");
    fs::create_dir_all(&other).unwrap();
    fs::copy(&paths[0], other.join("own.bin")).unwrap();
    let blob = repo.join("blobs").join(sha(&body));
    std::os::unix::fs::symlink(&blob, other.join("g.bin")).unwrap();
    assert_eq!(bench.store.remove(&artefact, go_on).unwrap(), 0);
    assert!(blob.exists() && !paths[0].exists());
    fs::rename(other.join("g.bin"), other.join("f.bin")).unwrap();
    assert_eq!(bench.store.remove(&artefact, go_on).unwrap(), 300_000);
    assert!(!blob.exists() && other.join("own.bin").exists());
    assert!(matches!(bench.store.verify(&artefact), Err(ModelsError::Missing { .. })));
}

#[test]
fn what_another_tool_fetched_is_found_and_checked() {
    let body = body();
    // Nobody is there to ask.
    let bench = Bench::new("http://127.0.0.1:9");
    let artefact = pinned(&body);
    let repo = bench.repo();
    let snapshot = repo.join("snapshots/abcdef");
    fs::create_dir_all(snapshot.join("sub")).unwrap();
    fs::create_dir_all(repo.join("blobs")).unwrap();
    let blob = repo.join("blobs").join(sha(&body));
    fs::write(&blob, &body).unwrap();
    std::os::unix::fs::symlink(&blob, snapshot.join("sub/f.bin")).unwrap();
    let found = bench.store.pull(&artefact, |_| panic!("there is nothing to tell")).unwrap();
    assert_eq!(found, [snapshot.join("sub/f.bin")]);

    // A flipped bit in it is found, by what is used before every load as well.
    let mut bad = body.clone();
    bad[150_000] ^= 1;
    fs::write(&blob, &bad).unwrap();
    assert!(matches!(bench.store.verify(&artefact), Err(ModelsError::Damaged { .. })));
    assert!(matches!(bench.store.ready(&artefact), Err(ModelsError::Damaged { .. })));
    // What the user put into the store is as good.
    let own = bench.store.path(&artefact, &artefact.files[0]);
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, &body).unwrap();
    assert_eq!(bench.store.verify(&artefact).unwrap(), [own]);
}

#[test]
fn a_connection_that_is_cut_is_resumed() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, _| {
        let mut all = honest(asked, &served);
        if asked.method == "GET" && asked.from() < 200_000 {
            all.truncate(all.len() - (served.len() - asked.from()) + 100_000);
        }
        all
    });
    for hub in [true, false] {
        let bench = Bench::new(&server.url);
        let artefact =
            if hub { pinned(&body) } else { from_url(format!("{}/f", server.url), &body) };
        let before = server.asked().len();
        let paths = bench.store.pull(&artefact, go_on).unwrap();
        assert_eq!(fs::read(&paths[0]).unwrap(), body);
        let asked = server.asked();
        let from: Vec<usize> =
            asked[before..].iter().filter(|a| a.method == "GET").map(Asked::from).collect();
        assert_eq!(from, [0, 100_000, 200_000]);
        assert_eq!(bench.parts(), Vec::<PathBuf>::new());
    }
}

#[test]
fn half_a_download_is_never_used_and_the_next_pull_goes_on_from_it() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let bench = Bench::new(&server.url);
    let artefact = from_url(format!("{}/f", server.url), &body);
    // As after a kill: half of it under its passing name, and the lock's file without a holder.
    let folder = bench.store.folder.join("thing");
    fs::create_dir_all(&folder).unwrap();
    fs::write(bench.store.folder.join(".lock"), b"").unwrap();
    fs::write(folder.join(".part-f.bin"), &body[..123_456]).unwrap();
    assert!(matches!(bench.store.ready(&artefact), Err(ModelsError::Missing { .. })));
    let paths = bench.store.pull(&artefact, go_on).unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), body);
    assert_eq!(server.asked().iter().map(Asked::from).collect::<Vec<_>>(), [123_456]);

    // What is left of another file does not hash to this one: thrown away, then fetched whole.
    fs::remove_file(&paths[0]).unwrap();
    fs::write(folder.join(".part-f.bin"), vec![7; 1000]).unwrap();
    assert!(matches!(cause(&bench, &artefact), FetchCause::WrongDigest { .. }));
    assert_eq!(bench.parts(), Vec::<PathBuf>::new());
    bench.store.pull(&artefact, go_on).unwrap();
    // Longer than the whole file: no beginning of it.
    fs::remove_file(&paths[0]).unwrap();
    fs::write(folder.join(".part-f.bin"), vec![7; 400_000]).unwrap();
    assert_eq!(fs::read(&bench.store.pull(&artefact, go_on).unwrap()[0]).unwrap(), body);
}

#[test]
fn a_server_that_does_not_resume_is_read_from_the_start() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, _| {
        let whole = Asked { headers: HashMap::new(), ..asked.clone() };
        honest(&whole, &served)
    });
    let bench = Bench::new(&server.url);
    let artefact = from_url(format!("{}/f", server.url), &body);
    let folder = bench.store.folder.join("thing");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".part-f.bin"), &body[..1000]).unwrap();
    assert_eq!(fs::read(&bench.store.pull(&artefact, go_on).unwrap()[0]).unwrap(), body);
}

#[test]
fn a_pull_that_is_stopped_keeps_what_came() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let bench = Bench::new(&server.url);
    let stopped = bench.store.pull(&pinned(&body), |p| match p {
        Progress::Downloading { done: 100_000.., .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(ModelsError::Cancelled)));
    let parts = bench.parts();
    assert!(fs::metadata(&parts[0]).unwrap().len() >= 100_000 && parts.len() == 1);
    assert!(matches!(bench.store.look(&pinned(&body)), Err(ModelsError::Missing { .. })));
    bench.store.pull(&pinned(&body), go_on).unwrap();
    assert!(server.asked().last().unwrap().from() >= 100_000);
}

#[test]
fn a_wrong_digest_or_size_is_refused() {
    let good = body();
    let mut bad = good.clone();
    bad[7] ^= 1;
    let long = [&good[..], b"!"].concat();
    // A hub that states another digest is not even asked for the file.
    let served = bad.clone();
    let server = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let bench = Bench::new(&server.url);
    assert!(matches!(cause(&bench, &pinned(&good)), FetchCause::WrongDigest { .. }));
    assert_eq!(server.gets(), 0);
    // One that lies about it is found out; nothing is left.
    for (file, pull_size) in [(bad, false), (long.clone(), true)] {
        let stated = sha(&good);
        let server = Server::new("127.0.0.1", move |asked, _| {
            let body = if asked.method == "HEAD" { &[][..] } else { &file[..] };
            answer("200 OK", &[("x-linked-etag", &stated), ("x-linked-size", "300000")], body)
        });
        let bench = Bench::new(&server.url);
        let got = cause(&bench, &pinned(&good));
        match got {
            FetchCause::WrongDigest { .. } if !pull_size => {}
            FetchCause::WrongSize { got } if pull_size => assert!(got <= 300_000 + (1 << 16)),
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.parts(), Vec::<PathBuf>::new());
        assert!(matches!(bench.store.look(&pinned(&good)), Err(ModelsError::Missing { .. })));
    }
    // A length that is stated and wrong ends it before a byte is written.
    let served = long;
    let server = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let bench = Bench::new(&server.url);
    let artefact = from_url(format!("{}/f", server.url), &good);
    assert!(matches!(cause(&bench, &artefact), FetchCause::WrongSize { got: 300_001 }));
}

#[test]
fn an_endless_body_is_cut_off() {
    let server = Server::new("127.0.0.1", |_, _| answer("200 OK", &[], &vec![7; 4 << 20]));
    let bench = Bench::new(&server.url);
    let artefact = from_url(format!("{}/f", server.url), &body());
    let FetchCause::WrongSize { got } = cause(&bench, &artefact) else { panic!() };
    assert!(got <= 300_000 + (1 << 16), "{got}");
    assert_eq!(bench.parts(), Vec::<PathBuf>::new());
}

#[test]
fn without_a_pinned_digest_the_hubs_is_checked_and_recorded() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let bench = Bench::new(&server.url);
    let artefact = artefact("thing", hub_file(None, None));
    let path = bench.store.pull(&artefact, go_on).unwrap().remove(0);
    bench.store.verify(&artefact).unwrap();
    let mut bad = body;
    bad[0] ^= 1;
    fs::write(&path, bad).unwrap();
    assert!(matches!(bench.store.verify(&artefact), Err(ModelsError::Damaged { .. })));

    // A hub that states none is of no use then; one that lies about it is found out.
    for etag in ["0123456789abcdef0123456789abcdef01234567", &sha(b"other"), "../../../escape"] {
        let etag = etag.to_owned();
        let server =
            Server::new("127.0.0.1", move |_, _| answer("200 OK", &[("etag", &etag)], b"short"));
        let bench = Bench::new(&server.url);
        let cause = cause(&bench, &artefact);
        assert!(
            matches!(cause, FetchCause::Http { .. } | FetchCause::WrongDigest { .. }),
            "{cause:?}"
        );
        assert!(!bench.dir.path().join("escape").exists());
    }
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let body = body();
    let served = body.clone();
    let cdn = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let (elsewhere, etag) = (format!("{}/blob?sig=1", cdn.url), sha(&body));
    let hub = Server::new("127.0.0.1", move |asked, _| {
        if asked.path.starts_with("/org") {
            return answer("307 Temporary Redirect", &[("location", "/cache/f")], b"");
        }
        let headers = [
            ("location", elsewhere.as_str()),
            ("x-linked-etag", etag.as_str()),
            ("x-linked-size", "300000"),
            ("x-repo-commit", COMMIT),
        ];
        answer("302 Found", &headers, b"")
    });
    let mut bench = Bench::new(&hub.url);
    bench.store.hub.token = Some(Token::new("hf_secret"));
    let paths = bench.store.pull(&pinned(&body), go_on).unwrap();
    assert_eq!(paths, [bench.repo().join(format!("snapshots/{COMMIT}/sub/f.bin"))]);
    assert_eq!(hub.asked().len(), 4, "a look and a fetch, each sent on within the hub");
    assert!(hub.asked().iter().all(|a| a.header("authorization") == Some("Bearer hf_secret")));
    assert_eq!(cdn.asked().len(), 1);
    assert!(cdn.asked().iter().all(|a| a.header("authorization").is_none()));
    assert!(!format!("{:?}", bench.store).contains("hf_secret"));
}

#[test]
fn a_public_host_cannot_send_into_the_private_network() {
    let body = body();
    let served = body.clone();
    let inside = Server::new("127.0.0.1", move |asked, _| honest(asked, &served));
    let by_name = inside.url.replace("127.0.0.1", "localhost");
    let mapped = inside.url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    for target in [inside.url.clone(), by_name, mapped, "http://169.254.169.254/x".into()] {
        // 127.0.0.2 counts as public in tests.
        let location = target.clone();
        let outside = Server::new("127.0.0.2", move |_, _| {
            answer("302 Found", &[("location", &location)], b"")
        });
        let bench = Bench::new(&outside.url);
        for artefact in [pinned(&body), from_url(format!("{}/f", outside.url), &body)] {
            let cause = cause(&bench, &artefact);
            assert!(matches!(cause, FetchCause::Redirect { .. }), "{target}: {cause:?}");
        }
    }
    assert_eq!(inside.asked().len(), 0);
    // A host that is private itself may: it is the user's own mirror.
    let location = inside.url.clone();
    let mirror =
        Server::new("127.0.0.1", move |_, _| answer("302 Found", &[("location", &location)], b""));
    let bench = Bench::new(&mirror.url);
    bench.store.pull(&from_url(format!("{}/f", mirror.url), &body), go_on).unwrap();
}

#[test]
fn redirects_end() {
    let server =
        Server::new("127.0.0.1", |_, _| answer("302 Found", &[("location", "/again")], b""));
    let bench = Bench::new(&server.url);
    let artefact = from_url(format!("{}/f", server.url), &body());
    assert!(matches!(cause(&bench, &artefact), FetchCause::Redirect { .. }));
    assert_eq!(server.asked().len(), 6);
}

#[test]
fn a_refusal_says_what_to_do_and_is_not_tried_again() {
    let body = body();
    for (status, token, wanted) in [
        ("401 Unauthorized", None, "set HF_TOKEN"),
        ("403 Forbidden", Some("t"), "terms have to be accepted"),
        ("404 Not Found", None, "no such file"),
    ] {
        let server = Server::new("127.0.0.1", move |_, _| answer(status, &[], b""));
        let mut bench = Bench::new(&server.url);
        bench.store.hub.token = token.map(Token::new);
        let error = bench.store.pull(&pinned(&body), go_on).unwrap_err().to_string();
        for part in [wanted, "f.bin", "`thing`", "hub org/name", "300000 bytes"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[test]
fn a_busy_server_is_asked_again_and_not_for_ever() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, number| {
        if number < 3 { answer("503 Busy", &[], b"") } else { honest(asked, &served) }
    });
    Bench::new(&server.url).store.pull(&pinned(&body), go_on).unwrap();
    let server = Server::new("127.0.0.1", |_, _| answer("429 Slow down", &[], b""));
    let bench = Bench::new(&server.url);
    assert!(matches!(cause(&bench, &pinned(&body)), FetchCause::Unreachable { .. }));
    assert_eq!(server.asked().len(), 5);
}

#[test]
fn offline_the_hub_is_not_asked_and_the_error_names_file_and_command() {
    let body = body();
    let server = Server::new("127.0.0.1", |_, _| answer("500 Never", &[], b""));
    let mut bench = Bench::new(&server.url);
    bench.store.hub.offline = true;
    let catalogue = Catalogue::embedded().unwrap();
    let error = bench.store.resolve(&catalogue, "tiny").unwrap_err().to_string();
    for part in ["ggml-tiny.bin", "rushes models pull whisper-tiny"] {
        assert!(error.contains(part), "{error}");
    }
    let error = bench.store.pull(&pinned(&body), go_on).unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE") && error.contains("f.bin"), "{error}");
    assert_eq!(server.asked().len(), 0);
}

/// A hub's artefact with one from a local file to fall back to.
fn with_fallback(bench: &Bench, body: &[u8]) -> Catalogue {
    let local = bench.dir.path().join("local.bin");
    fs::write(&local, body).unwrap();
    let manifest = |name: &str, fallback: &str, source: &str| {
        format!(
            "name = \"{name}\"\ntask = \"speech\"\nabout = \"a\"\nlicence = \"MIT\"\n\
             credit = \"c\"\n{fallback}\n[[files]]\nname = \"f.bin\"\nbytes = {}\n\
             sha256 = \"{}\"\n[[files.sources]]\n{source}\n",
            body.len(),
            sha(body)
        )
    };
    let hub = "kind = \"huggingface\"\nrepo = \"org/name\"\nrevision = \"main\"\nfile = \"f.bin\"";
    let kept = format!("kind = \"local\"\npath = \"{}\"", local.display());
    Catalogue::parse(&[
        &manifest("whisper-tiny", "fallback = \"whisper-tiny-q8\"", hub),
        &manifest("whisper-tiny-q8", "", &kept),
    ])
    .unwrap()
}

#[test]
fn where_the_hub_cannot_be_reached_the_fallback_is_pulled_and_named() {
    let body = body();
    for offline in [false, true] {
        // Nobody listens there: refused at once.
        let mut bench = Bench::new("http://127.0.0.1:9");
        bench.store.hub.offline = offline;
        let catalogue = with_fallback(&bench, &body);
        let missing = bench.store.resolve(&catalogue, "tiny").unwrap_err().to_string();
        assert!(missing.contains("pull whisper-tiny"), "{missing}");
        let mut told = Vec::new();
        let pulled = bench
            .store
            .pull_or_fallback(&catalogue, "tiny", |p| {
                if let Progress::FallingBack { from, to, because } = p {
                    told.push((from.name.clone(), to.name.clone(), because.to_owned()));
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(pulled.artefact.name, "whisper-tiny-q8");
        assert_eq!(pulled.instead_of.unwrap().name, "whisper-tiny");
        let [(from, to, because)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((from.as_str(), to.as_str()), ("whisper-tiny", "whisper-tiny-q8"));
        let reason = if offline { "HF_HUB_OFFLINE" } else { "cannot be reached" };
        assert!(because.contains(reason), "{because}");
        assert_eq!(bench.store.resolve(&catalogue, "tiny").unwrap(), pulled);
        assert_eq!(pulled.path("f.bin"), Some(pulled.paths[0].as_path()));

        // What is damaged is told, not passed over.
        fs::write(&pulled.paths[0], b"x").unwrap();
        let damaged = bench.store.resolve(&catalogue, "tiny");
        assert!(matches!(damaged, Err(ModelsError::Damaged { .. })));
        fs::remove_file(bench.dir.path().join("local.bin")).unwrap();
        match bench.store.pull_or_fallback(&catalogue, "tiny", go_on) {
            Err(ModelsError::Fetch { artefact, failures, .. }) => {
                assert_eq!((artefact.as_str(), failures.len()), ("whisper-tiny", 2));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_hub_that_is_away_is_waited_for_once() {
    let server = Server::new("127.0.0.1", |_, _| answer("503 Busy", &[], b""));
    let bench = Bench::new(&server.url);
    let body = body();
    let local = bench.dir.path().join("local");
    fs::write(&local, &body).unwrap();
    let mut artefact = pinned(&body);
    let kept = Source::Local { path: local.display().to_string() };
    artefact.files[0].sources.push(kept);
    let mut second = artefact.files[0].clone();
    second.name = "g.bin".into();
    artefact.files.push(second);
    assert!(!bench.store.is_begun(&artefact));
    bench.store.pull(&artefact, go_on).unwrap();
    assert_eq!(server.asked().len(), 5, "the tries for the first file");
    fs::remove_file(bench.store.path(&artefact, &artefact.files[0])).unwrap();
    assert!(bench.store.is_begun(&artefact) && bench.store.look(&artefact).is_err());
}

#[test]
fn many_who_pull_at_once_fetch_once() {
    let body = body();
    let served = body.clone();
    let server = Server::new("127.0.0.1", move |asked, _| {
        std::thread::sleep(Duration::from_millis(50));
        honest(asked, &served)
    });
    let bench = Bench::new(&server.url);
    let artefact = pinned(&body);
    std::thread::scope(|scope| {
        for n in 0..4 {
            // Half of them with a store of their own: the cache's lock is what they share.
            let mut store = bench.store.clone();
            if n % 2 == 1 {
                store.folder = bench.dir.path().join(format!("store-{n}"));
            }
            let artefact = &artefact;
            scope.spawn(move || store.pull(artefact, go_on).unwrap());
        }
    });
    assert_eq!(server.gets(), 1);
}

#[test]
fn a_local_file_is_copied_and_checked() {
    let body = body();
    let bench = Bench::new("http://127.0.0.1:9");
    let local = bench.dir.path().join("local");
    let mut artefact = pinned(&body);
    artefact.files[0].sources = vec![Source::Local { path: local.display().to_string() }];
    assert!(matches!(cause(&bench, &artefact), FetchCause::Local { .. }));
    fs::create_dir(&local).unwrap();
    assert!(matches!(cause(&bench, &artefact), FetchCause::Local { .. }));
    fs::remove_dir(&local).unwrap();
    fs::write(&local, &body[1..]).unwrap();
    assert!(matches!(cause(&bench, &artefact), FetchCause::WrongSize { .. }));
    fs::write(&local, &body).unwrap();
    let paths = bench.store.pull(&artefact, go_on).unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), body);
    assert_eq!(bench.store.remove(&artefact, go_on).unwrap(), 300_000);
    assert!(!paths[0].exists() && !bench.store.folder.join("thing").exists());
}

#[test]
fn what_cannot_be_converted_leaves_nothing() {
    let bench = Bench::new("http://127.0.0.1:9");
    let local = bench.dir.path().join("weights.pth");
    // A pickle that asks to run something.
    let hostile = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.";
    fs::write(&local, hostile).unwrap();
    let input = ArtefactFile {
        name: "w.pth".into(),
        bytes: Some(hostile.len() as u64),
        sha256: Some(sha(hostile)),
        machine: None,
        sources: vec![Source::Local { path: local.display().to_string() }],
    };
    let mut artefact = pinned(&body());
    artefact.files[0].sources =
        vec![Source::Convert { with: Converter::PthSafetensors, inputs: vec![input] }];
    let cause = cause(&bench, &artefact);
    assert!(matches!(cause, FetchCause::Convert { .. }), "{cause:?}");
    let left: Vec<_> = fs::read_dir(&bench.store.folder).unwrap().map(|e| e.unwrap()).collect();
    assert!(
        left.iter().all(|e| [".lock", "thing"].iter().any(|n| e.file_name() == *n)),
        "{left:?}"
    );
    assert_eq!(fs::read_dir(bench.store.folder.join("thing")).unwrap().count(), 0);
}
