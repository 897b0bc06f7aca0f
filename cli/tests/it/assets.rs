//! `rushes assets`, and specs that name assets.

use crate::support::{files, folder, rushes_in};
use rushes_fixtures::workspace;

#[test]
fn assets_are_kept_found_used_and_removed() {
    let dir = folder();
    let picture = workspace().join("fixtures/golden/embed/wide.png");
    let picture = picture.to_str().unwrap();
    let run = |words: &[&str]| rushes_in(dir.path(), ["assets"].iter().chain(words));
    let words =
        ["add", picture, "--name", "card", "--tag", "brand", "--licence", "CC0-1.0", "--json"];
    let added = run(&words).ok().json_line();
    assert_eq!((added["kind"].as_str(), added["known"].as_bool()), (Some("image"), Some(false)));
    assert!(added["facts"]["width"].as_u64().unwrap() > 0, "{added}");
    let again = run(&words).exits(1);
    assert!(again.err.contains("--replace"), "{}", again.err);
    assert_eq!(run(&["search", "brand", "--kind", "image", "--json"]).ok().json().len(), 1);
    assert!(run(&["list", "--kind", "font"]).ok().text().is_empty());
    let shown = run(&["show", "card", "--json"]).ok().json_line();
    let kept = dir.path().join(shown["path"].as_str().unwrap());
    assert_eq!(std::fs::read(kept).unwrap(), std::fs::read(picture).unwrap());

    let spec =
        "{ rushes: 1, canvas: { size: '64x36', rate: 5 }, assets: { c: { image: 'asset:card' } },
        video: [{ items: [{ asset: 'c', length: '1s' }] }] }";
    std::fs::write(dir.path().join("spec.json"), spec).unwrap();
    let plan = rushes_in(dir.path(), ["render", "spec.json", "--plan", "--json"]).ok();
    assert!(!plan.json().is_empty(), "{}", plan.err);
    std::fs::write(dir.path().join("spec.json"), spec.replace("asset:card", "asset:none")).unwrap();
    let ran = rushes_in(dir.path(), ["render", "spec.json", "--plan"]).exits(1);
    assert!(ran.err.contains("there is no asset called `none`"), "{}", ran.err);

    run(&["rm", "card"]).ok();
    assert!(run(&["show", "card"]).exits(1).err.contains("rushes assets list"));
    let left = files(&dir.path().join("assets"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_credentials_work_goes_on_here() {
    let dir = folder();
    let picture = workspace().join("fixtures/golden/embed/small.png");
    let words = ["assets", "add", picture.to_str().unwrap(), "--remote", "s3://no-such-bucket/x"];
    let ran = rushes_in(dir.path(), words).ok();
    assert!(
        ran.err.contains("AWS_ACCESS_KEY_ID") && ran.err.contains("stay on this machine"),
        "{}",
        ran.err
    );
    assert!(rushes_in(dir.path(), ["assets", "list"]).ok().text().contains("small"));
}
