use super::*;
use crate::catalogue::Task;
use std::io::Cursor;
use std::process::Command;
use std::time::{Duration, Instant};

const BODY: &[u8] = b"the bytes that the manifest pins";

fn go_on(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn npm() -> Source {
    Source::Npm { package: "p".into(), version: "1.0.0".into(), path: "package/f.bin".into() }
}

fn pypi() -> Source {
    Source::Pypi {
        package: "p".into(),
        version: "1.0.0".into(),
        path: "p/f.bin".into(),
        platform: None,
        python: None,
    }
}

fn artefact(sources: Vec<Source>) -> Artefact {
    Artefact {
        name: "thing".into(),
        task: Task::Vad,
        about: "a".into(),
        licence: "MIT".into(),
        credit: "c".into(),
        dims: None,
        pictures: None,
        memory: Default::default(),
        fallback: None,
        files: vec![ArtefactFile {
            name: "f.bin".into(),
            bytes: Some(BODY.len() as u64),
            sha256: Some(hex(&Sha256::digest(BODY))),
            machine: None,
            sources,
        }],
    }
}

enum Member<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}
use Member::{File as F, Link as L};

/// A .tgz whose names are written as they are, as no honest tool would.
fn tgz(members: &[Member<'_>]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for member in members {
        let mut header = tar::Header::new_ustar();
        let (name, body) = match member {
            F(name, body) => (name, *body),
            L(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target).unwrap();
                (name, &b""[..])
            }
        };
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, body).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn whl(members: &[Member<'_>]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for member in members {
        match member {
            F(name, body) => {
                zip.start_file(*name, options).unwrap();
                zip.write_all(body).unwrap();
            }
            L(name, target) => zip.add_symlink(*name, *target, options).unwrap(),
        }
    }
    zip.finish().unwrap().into_inner()
}

/// A store whose clients are shell scripts, and a folder that holds them.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path().join("store"));
        store.clients = Clients {
            npm: dir.path().join("no-npm").into(),
            python: dir.path().join("no-python").into(),
        };
        Self { dir, store }
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let text = path.with_extension("text");
        fs::write(&text, format!("#!/bin/sh\necho run >>'{}.runs'\n{body}\n", path.display()))
            .unwrap();
        // Another process writes the script: were it this one, a test on another thread that
        // starts a client just now could keep it open for writing, and it could not be run.
        let install = Command::new("install").args(["-m", "755"]).args([&text, &path]).status();
        assert!(install.unwrap().success());
        path
    }

    /// A client that leaves `package` under `name`.
    fn serving(&self, name: &str, package: &[u8]) -> PathBuf {
        let kept = self.dir.path().join(format!("served-{name}"));
        fs::write(&kept, package).unwrap();
        self.script(&format!("client-{name}"), &format!("cp '{}' '{name}'", kept.display()))
    }

    fn with_npm(package: &[u8]) -> Self {
        let mut bench = Self::new();
        bench.store.clients.npm = bench.serving("p-1.0.0.tgz", package).into();
        bench
    }

    fn with_pypi(package: &[u8]) -> Self {
        let mut bench = Self::new();
        bench.store.clients.python = bench.serving("p-1.0.0-py3-none-any.whl", package).into();
        bench
    }

    /// Every file and folder in the store but the lock and the artefact's own empty folder.
    fn left(&self) -> Vec<PathBuf> {
        let mut left = Vec::new();
        let mut folders = vec![self.store.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                if !path.ends_with(".lock") && !path.ends_with("store/thing") {
                    left.push(path);
                }
            }
        }
        left
    }
}

/// The one cause of a pull that failed and left nothing.
fn refused(bench: &Bench, source: Source) -> FetchCause {
    match bench.store.pull(&artefact(vec![source]), go_on) {
        Err(ModelsError::Fetch { mut failures, .. }) => {
            assert_eq!(bench.left(), Vec::<PathBuf>::new());
            failures.pop().unwrap().cause
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_member_is_taken_from_each_kind_of_package_and_the_rest_is_ignored() {
    let hostile = [
        F("../../escape", b"x"),
        F("/tmp/escape", b"x"),
        L("package/link", "/etc/passwd"),
        F("package/f.bin", BODY),
        F("p/f.bin", BODY),
    ];
    for (bench, source) in
        [(Bench::with_npm(&tgz(&hostile)), npm()), (Bench::with_pypi(&whl(&hostile)), pypi())]
    {
        let artefact = artefact(vec![source]);
        let paths = bench.store.pull(&artefact, go_on).unwrap();
        assert_eq!(paths, [bench.store.path(&artefact, &artefact.files[0])]);
        assert_eq!(fs::read(&paths[0]).unwrap(), BODY);
        assert_eq!(bench.left(), paths, "nothing else is left");
        assert!(!bench.dir.path().join("escape").exists());
        assert_eq!(bench.store.verify(&artefact).unwrap(), paths);
    }
}

#[test]
fn a_file_that_is_here_is_not_fetched_again() {
    let bench = Bench::with_npm(&tgz(&[F("package/f.bin", BODY)]));
    let artefact = artefact(vec![npm()]);
    bench.store.pull(&artefact, go_on).unwrap();
    let path = bench.store.pull(&artefact, |_| panic!("there is nothing to tell")).unwrap();
    let runs = bench.dir.path().join("client-p-1.0.0.tgz.runs");
    assert_eq!(fs::read_to_string(&runs).unwrap(), "run\n");

    fs::write(&path[0], b"the bytes that the manifest pIns").unwrap();
    assert!(matches!(bench.store.verify(&artefact), Err(ModelsError::Damaged { .. })));
    bench.store.pull(&artefact, go_on).unwrap();
    assert_eq!(fs::read_to_string(&runs).unwrap(), "run\nrun\n");
    assert_eq!(fs::read(&path[0]).unwrap(), BODY);
}

#[test]
fn a_member_that_is_a_link_or_absent_is_refused() {
    let link = [L("package/f.bin", "/etc/passwd"), L("p/f.bin", "/etc/passwd")];
    let near = [F("./package/f.bin", BODY), F("package/f.bin/", BODY), F("p//f.bin", BODY)];
    for members in [&link[..], &near[..]] {
        let bench = Bench::with_npm(&tgz(members));
        assert!(matches!(refused(&bench, npm()), FetchCause::Archive { .. }));
        let bench = Bench::with_pypi(&whl(members));
        assert!(matches!(refused(&bench, pypi()), FetchCause::Archive { .. }));
    }
}

#[test]
fn a_member_of_another_size_is_refused() {
    let long = [BODY, b"!"].concat();
    for body in [&long[..], &BODY[1..], b""] {
        let bench = Bench::with_npm(&tgz(&[F("package/f.bin", body)]));
        assert!(matches!(refused(&bench, npm()), FetchCause::WrongSize { .. }));
        let bench = Bench::with_pypi(&whl(&[F("p/f.bin", body)]));
        assert!(matches!(refused(&bench, pypi()), FetchCause::WrongSize { .. }));
    }
}

#[test]
fn a_member_longer_than_it_says_is_cut_off() {
    let bench = Bench::new();
    let file = &artefact(vec![npm()]).files[0];
    let path = bench.dir.path().join("f.bin");
    let stop = publish(&mut io::repeat(7), file, &path, &mut |_| Ok(())).unwrap_err();
    let Stop::Cause(FetchCause::WrongSize { got }) = stop else { panic!("{stop:?}") };
    assert_eq!(Some(got), file.bytes.map(|b| b + 1));
    assert_eq!(fs::read_dir(bench.dir.path()).unwrap().count(), 0);
}

#[test]
fn a_wrong_digest_is_refused() {
    let other = b"the bytes that the manifest pIns";
    assert_eq!(other.len(), BODY.len());
    let bench = Bench::with_npm(&tgz(&[F("package/f.bin", other)]));
    assert!(matches!(refused(&bench, npm()), FetchCause::WrongDigest { .. }));
    let bench = Bench::with_pypi(&whl(&[F("p/f.bin", other)]));
    assert!(matches!(refused(&bench, pypi()), FetchCause::WrongDigest { .. }));
}

#[test]
fn a_broken_package_is_refused() {
    let whole = tgz(&[F("package/f.bin", BODY)]);
    for package in [&b"not an archive"[..], b"", &whole[..whole.len() / 2]] {
        let cause = refused(&Bench::with_npm(package), npm());
        assert!(
            matches!(cause, FetchCause::Archive { .. } | FetchCause::WrongSize { .. }),
            "{cause:?}"
        );
        let cause = refused(&Bench::with_pypi(package), pypi());
        assert!(matches!(cause, FetchCause::Archive { .. }), "{cause:?}");
    }
}

#[test]
fn a_missing_client_is_named_and_the_next_source_is_tried() {
    let bench = Bench::with_pypi(&whl(&[F("p/f.bin", BODY)]));
    assert!(matches!(refused(&bench, npm()), FetchCause::ClientMissing));
    bench.store.pull(&artefact(vec![npm(), pypi()]), go_on).unwrap();

    let mut bench = Bench::new();
    let script = "echo '/usr/bin/python3: No module named pip' >&2; exit 1";
    bench.store.clients.python = bench.script("python", script).into();
    let error = bench.store.pull(&artefact(vec![npm(), pypi()]), go_on).unwrap_err();
    let ModelsError::Fetch { failures, .. } = &error else { panic!("{error:?}") };
    assert!(failures.iter().all(|f| matches!(f.cause, FetchCause::ClientMissing)), "{error:?}");
    let text = error.to_string();
    for part in ["f.bin", "`thing`", "install npm", "install python3-pip", "yourself", "32 bytes"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_client_that_fails_is_quoted() {
    let mut bench = Bench::new();
    let script = "echo 'npm error network is unreachable' >&2; exit 7";
    bench.store.clients.npm = bench.script("npm", script).into();
    match refused(&bench, npm()) {
        FetchCause::ClientFailed { said } => {
            assert!(said.contains("network is unreachable"), "{said}");
        }
        other => panic!("{other:?}"),
    }
    bench.store.clients.npm = bench.script("npm", "exit 0").into();
    assert!(matches!(refused(&bench, npm()), FetchCause::Archive { .. }));
}

#[test]
fn a_pull_can_be_stopped_while_its_client_runs() {
    let mut bench = Bench::new();
    bench.store.clients.npm = bench.script("npm", "exec sleep 60").into();
    let start = Instant::now();
    let stopped = bench.store.pull(&artefact(vec![npm()]), |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(ModelsError::Cancelled)));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(bench.left(), Vec::<PathBuf>::new());
}

#[test]
fn what_a_killed_pull_left_is_cleared_by_the_next() {
    let bench = Bench::with_npm(&tgz(&[F("package/f.bin", BODY)]));
    fs::create_dir_all(bench.store.folder.join(".pull-old")).unwrap();
    fs::create_dir_all(bench.store.folder.join("thing")).unwrap();
    fs::write(bench.store.folder.join(".pull-old/p.tgz"), b"half").unwrap();
    fs::write(bench.store.folder.join("thing/.pull-old"), b"half").unwrap();
    let paths = bench.store.pull(&artefact(vec![npm()]), go_on).unwrap();
    assert_eq!(bench.left(), paths);
}

#[test]
fn pulls_into_one_folder_wait_for_each_other() {
    let bench = Bench::with_npm(&tgz(&[F("package/f.bin", BODY)]));
    fs::create_dir_all(&bench.store.folder).unwrap();
    let held = disk::lock(&bench.store.folder.join(".lock"), &mut || Ok(())).unwrap();
    let mut waited = false;
    let stopped = bench.store.pull(&artefact(vec![npm()]), |p| {
        waited |= p == Progress::Waiting;
        ControlFlow::Break(())
    });
    assert!(waited && matches!(stopped, Err(ModelsError::Cancelled)));
    drop(held);

    let artefact = artefact(vec![npm()]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| bench.store.pull(&artefact, go_on).unwrap());
        }
    });
    let runs = fs::read_to_string(bench.dir.path().join("client-p-1.0.0.tgz.runs")).unwrap();
    assert_eq!(runs, "run\n", "the first fetched, the others found it there");
}
