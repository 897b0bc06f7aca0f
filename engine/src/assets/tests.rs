use super::remote::Remote;
use super::upload::upload_by;
use super::*;
use crate::control::Cancel;
use crate::error::ErrorKind;
use crate::limits::Limits;
use object_store::memory::InMemory;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

const CUBE: &str =
    "TITLE \"warm\"\nLUT_3D_SIZE 2\n0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n";

fn bucket() -> Remote {
    let store = Arc::new(InMemory::new());
    let name = "memory://test".to_owned();
    Remote { name, prefix: "team".to_owned(), objects: store.clone(), parts: store }
}

fn add(assets: &Assets, file: &Path, new: NewAsset) -> crate::error::Result<Added> {
    assets.add(file, &new, &Limits::default(), &Cancel::new())
}

fn tags(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn names(assets: &Assets, query: &AssetQuery) -> Vec<String> {
    assets.list(query).unwrap().into_iter().map(|record| record.name).collect()
}

#[test]
fn added_found_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("Warm look!.cube");
    std::fs::write(&file, CUBE).unwrap();
    let assets = Assets::open(&dir.path().join("assets"), None).unwrap();
    let licence = Some("CC0-1.0".to_owned());
    let added = add(
        &assets,
        &file,
        NewAsset { tags: tags(&["grade", "film"]), licence, ..NewAsset::default() },
    )
    .unwrap();
    assert_eq!((added.record.name.as_str(), added.record.kind), ("Warm-look", AssetKind::Lut));
    assert_eq!(added.record.facts, serde_json::json!({ "title": "warm", "size_3d": 2 }));
    assert!(!added.known && !added.remote);

    let again = add(&assets, &file, NewAsset::default()).unwrap_err();
    assert!(again.message().contains("there is an asset called"), "{again}");
    let other =
        add(&assets, &file, NewAsset { name: Some("second".into()), ..NewAsset::default() })
            .unwrap();
    assert!(other.known);
    let replaced = NewAsset { replace: true, category: Some("look".into()), ..NewAsset::default() };
    add(&assets, &file, replaced).unwrap();

    let query = AssetQuery::default();
    assert_eq!(names(&assets, &query), ["Warm-look", "second"]);
    let looks = AssetQuery { category: Some("LOOK".into()), ..AssetQuery::default() };
    assert_eq!(names(&assets, &looks), ["Warm-look"]);
    assert_eq!(
        names(&assets, &AssetQuery { words: vec!["WARM".into()], ..AssetQuery::default() }).len(),
        2
    );
    assert!(
        names(&assets, &AssetQuery { tags: tags(&["grade"]), ..AssetQuery::default() }).is_empty()
    );
    assert!(
        names(&assets, &AssetQuery { kind: Some(AssetKind::Font), ..AssetQuery::default() })
            .is_empty()
    );

    let path = assets.path_of("second", &Cancel::new()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), CUBE);
    assert_eq!(assets.remove("second").unwrap().freed, 0);
    assert_eq!(assets.remove("Warm-look").unwrap().freed, CUBE.len() as u64);
    assert!(!path.exists());
    assert_eq!(assets.get("second").unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn files_that_are_not_what_they_are_called_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let assets = Assets::open(&dir.path().join("assets"), None).unwrap();
    for name in ["a.cube", "a.ttf", "a.json", "a.mp4", "a.wav", "a.xyz"] {
        let file = dir.path().join(name);
        std::fs::write(&file, "nothing of the kind").unwrap();
        let error = add(&assets, &file, NewAsset::default()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Input | ErrorKind::Unsupported),
            "{name}: {error}"
        );
    }
    for bad in ["../x", ".x", "", "a/b", "a b"] {
        assert!(assets.get(bad).is_err(), "{bad}");
    }
    assert!(names(&assets, &AssetQuery::default()).is_empty());
}

#[test]
fn a_bucket_has_what_is_here_and_another_machine_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("look.cube");
    std::fs::write(&file, CUBE).unwrap();
    // First without a bucket; it is sent later.
    let folder = dir.path().join("one");
    add(&Assets::open(&folder, None).unwrap(), &file, NewAsset::default()).unwrap();
    let bucket = bucket();
    let one = Assets::open(&folder, Some(bucket.clone())).unwrap();
    let pushed = one.push(&Cancel::new()).unwrap();
    assert_eq!(pushed, [Pushed { name: "look".into(), parts: 1, known_parts: 0 }]);
    assert_eq!(one.push(&Cancel::new()).unwrap()[0].parts, 0);

    let two = Assets::open(&dir.path().join("two"), Some(bucket.clone())).unwrap();
    assert_eq!(names(&two, &AssetQuery::default()), ["look"]);
    let path = two.path_of("look", &Cancel::new()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), CUBE);
    // The cache alone is enough from now on.
    let alone = Assets::open(&dir.path().join("two"), None).unwrap();
    assert_eq!(alone.path_of("look", &Cancel::new()).unwrap(), path);

    two.remove("look").unwrap();
    assert!(names(&two, &AssetQuery::default()).is_empty());
    let three = Assets::open(&dir.path().join("three"), Some(bucket)).unwrap();
    assert!(names(&three, &AssetQuery::default()).is_empty());
}

#[test]
fn what_a_bucket_gives_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("look.cube");
    std::fs::write(&file, CUBE).unwrap();
    let bucket = bucket();
    let one = Assets::open(&dir.path().join("one"), Some(bucket.clone())).unwrap();
    let added = add(&one, &file, NewAsset::default()).unwrap();
    assert!(added.remote);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    use object_store::ObjectStoreExt;
    let place = object_store::path::Path::from(format!("team/{}", added.record.blob()));
    for bad in [CUBE.replace("warm", "cold"), CUBE[1..].to_owned(), format!("{CUBE} ")] {
        runtime.block_on(bucket.objects.put(&place, bad.into_bytes().into())).unwrap();
        let two = Assets::open(&dir.path().join("two"), Some(bucket.clone())).unwrap();
        let error = two.path_of("look", &Cancel::new()).unwrap_err();
        assert!(error.message().contains("damaged"), "{error}");
        assert!(!dir.path().join("two").join(added.record.blob()).exists());
    }
}

#[test]
fn an_upload_goes_on_where_it_was_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (file, note) = (dir.path().join("f"), dir.path().join("notes/f.json"));
    let data: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&file, &data).unwrap();
    let bucket = bucket();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // A note as one that was killed after two of four parts leaves it.
    let parts = bucket.parts.clone();
    let place = object_store::path::Path::from("x");
    let (id, sent) = runtime.block_on(async {
        let id = parts.create_multipart(&place).await.unwrap();
        let mut sent = Vec::new();
        for n in 0..2 {
            let part = data[n * 1024..(n + 1) * 1024].to_vec();
            sent.push(parts.put_part(&place, &id, n, part.into()).await.unwrap().content_id);
        }
        (id, sent)
    });
    std::fs::create_dir_all(note.parent().unwrap()).unwrap();
    let text = serde_json::json!({ "object": "x", "id": id, "part": 1024, "parts": sent });
    std::fs::write(&note, text.to_string()).unwrap();
    let done =
        runtime.block_on(upload_by(&bucket, &file, "x", &note, 1024, &Cancel::new())).unwrap();
    assert_eq!((done.sent, done.known), (2, 2));
    assert!(!note.exists());
    use object_store::ObjectStoreExt;
    let there = runtime
        .block_on(async { bucket.objects.get(&place).await.unwrap().bytes().await.unwrap() });
    assert_eq!(&there[..], &data[..]);
    // Cancelled: what was noted stays, and nothing is there.
    let stop = Cancel::new();
    stop.cancel();
    let error = runtime.block_on(upload_by(&bucket, &file, "y", &note, 1024, &stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let place = object_store::path::Path::from("y");
    assert!(runtime.block_on(bucket.objects.head(&place)).is_err());
}

#[test]
fn without_credentials_it_says_so() {
    let none = BTreeMap::new();
    for (address, name) in [
        ("s3://b/p", "AWS_ACCESS_KEY_ID"),
        ("gs://b", "GOOGLE_SERVICE_ACCOUNT"),
        ("az://c", "AZURE_STORAGE_ACCOUNT_NAME"),
    ] {
        match Remote::open(address, &none).unwrap() {
            RemoteAt::NoCredentials(what) => assert!(what.contains(name), "{what}"),
            RemoteAt::Open(_) => panic!("{address}"),
        }
    }
    for address in ["b", "s3://", "ftp://b"] {
        assert_eq!(Remote::open(address, &none).unwrap_err().kind(), ErrorKind::Input, "{address}");
    }
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
        .map(|name| (name.to_owned(), "x".to_owned()));
    let made = Remote::open("s3://b/p/", &BTreeMap::from(keys));
    match cfg!(feature = "s3") {
        true => assert!(matches!(made, Ok(RemoteAt::Open(remote)) if remote.at("x") == "p/x")),
        false => assert!(made.unwrap_err().what_to_do().unwrap().contains("--features s3")),
    }
}

#[test]
fn specs_refer_to_assets_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("look.cube");
    std::fs::write(&file, CUBE).unwrap();
    let assets = Assets::open(&dir.path().join("a \"b\""), None).unwrap();
    add(&assets, &file, NewAsset::default()).unwrap();
    let text = r#"{lut: 'asset:look', file: "asset:look", text: "an asset:look", more: "asset:look.", asset:1}"#;
    // `look.` is a name too, which nothing has.
    assert!(assets.in_text(text, &Cancel::new()).is_err());
    let text = text.replace("look.\"", "look \"");
    let found: serde_json::Value =
        json5::from_str(&assets.in_text(&text, &Cancel::new()).unwrap()).unwrap();
    let path = found["file"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), CUBE);
    assert_eq!(found["lut"], found["file"]);
    assert_eq!((found["text"].as_str(), found["asset"].as_i64()), (Some("an asset:look"), Some(1)));
    assert_eq!(found["more"], "asset:look ");
    assert_eq!(assets.in_text("", &Cancel::new()).unwrap(), "");
}
