//! No capability without a way to it from the command line.
//!
//! Three lists are made from the sources, so that nobody has to keep them: the stages of the pipeline, the calls
//! of `Engine`, and every public item of the engine. A stage must be made by a choice of `rushes process
//! --stages`; all else must be reached from the code of the command line, by the names that it uses.

use crate::support::rushes;
use rushes_fixtures::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// Calls that only shorten what the command line does in more words, and what that is: it sets the
/// jobs' fields itself.
const SHORT_FORMS: [(&str, &str); 24] = [
    ("open", "Library::at"),
    ("library", "Library::at"),
    ("limits", "limits()"),
    ("search", "search("),
    ("index", "index_library"),
    ("probe", "probe("),
    ("process", "Process {"),
    ("insight", "Insight::"),
    ("purposes", "Purpose::of_library"),
    ("frames", "frames: ExtractFrames"),
    ("frame_size", "PictureSize::Width"),
    ("sheet", "SheetLayout"),
    ("transcribe", "transcript,"),
    ("detect_by", "transnet,"),
    ("embed", "embedders,"),
    ("read_text", "ocr,"),
    ("clips", "clips,"),
    ("lesson", "job.lesson ="),
    ("stages", "stages: Stages"),
    ("on_progress", "on_progress"),
    ("cancel", "cancel"),
    ("run", ".run("),
    ("deinterlace", "deinterlace"),
    ("force", "force"),
];

/// Which choice of `--stages` makes what a stage of the pipeline makes; `all` where it always runs.
const STAGES: [(&str, &str); 19] = [
    ("audio", "audio"),
    ("backtest", "strategy"),
    ("clips", "clips"),
    ("features", "features"),
    ("frames", "frames"),
    ("insight", "insight"),
    ("joint", "embed"),
    ("looks", "embed"),
    ("meaning", "embed"),
    ("ocr", "ocr"),
    ("probe", "all"),
    ("promotion", "strategy"),
    ("report", "all"),
    ("sheet", "sheet"),
    ("shots", "shots"),
    ("shown", "embed"),
    ("sound", "clips"),
    ("strategy", "strategy"),
    ("transcript", "transcribe"),
];

/// Sources that no verb reaches, and who does.
const ELSEWHERE: [(&str, &str); 1] =
    [("render/compose/cuda/", "`rushes-gpu` of benches/gpu, until edits are composed on a GPU")];

/// A source without its comments and without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]").next().unwrap_or("");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn sources(folder: &str) -> BTreeMap<String, String> {
    let root = workspace().join(folder);
    let files = WalkDir::new(&root).into_iter().filter_map(Result::ok);
    let rust = files.filter(|file| file.path().extension().is_some_and(|e| e == "rs"));
    let tests = |path: &str| path.contains("tests") || path.ends_with("conformance.rs");
    rust.map(|file| {
        (file.path().strip_prefix(&root).unwrap().display().to_string(), code(file.path()))
    })
    .filter(|(path, _)| !tests(path))
    .collect()
}

/// How often each word is there, without re-exports, which name things and do not use them.
fn words(code: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for statement in code.split_inclusive([';', '}']) {
        if statement.trim_start().starts_with("pub use ") {
            continue;
        }
        for word in statement.split(|c: char| !c.is_alphanumeric() && c != '_') {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// The names of items that a source makes public at its outermost level.
fn items(code: &str) -> BTreeSet<String> {
    let kinds = ["fn", "struct", "enum", "trait", "const", "static", "type"];
    let item = |line: &str| -> Option<String> {
        let mut words =
            line.strip_prefix("pub ")?.split(|c: char| !c.is_alphanumeric() && c != '_');
        let kind = words.next()?;
        let name = words.next()?;
        // `pub const fn name`
        let name = if kind == "const" && name == "fn" { words.next()? } else { name };
        kinds.contains(&kind).then(|| name.to_owned())
    };
    code.lines().filter_map(item).collect()
}

#[test]
fn every_stage_is_made_by_a_choice() {
    let help = rushes(["process", "--help"]).ok().out;
    let help = String::from_utf8(help).unwrap();
    let mut stages = BTreeSet::new();
    for (file, code) in sources("engine/src/pipeline/stages") {
        if !code.contains("impl FilmStage for") {
            continue;
        }
        let constant = code.split("const NAME: &str = \"").nth(1);
        let literals = code.split("fn name(&self) -> &'static str {\n        \"").skip(1);
        // One kind of stage for several models: its names stand in a match.
        let arms = code.split("fn name(self) -> &'static str {").nth(1).unwrap_or("");
        let arms = arms.split("\n    }").next().unwrap_or("").split("=> \"").skip(1);
        let names: Vec<&str> = constant.into_iter().chain(literals).chain(arms).collect();
        assert!(!names.is_empty(), "{file}: a stage without a name");
        stages.extend(names.iter().map(|name| name.split('"').next().unwrap().to_owned()));
    }
    let known: BTreeSet<String> = STAGES.iter().map(|(stage, _)| (*stage).to_owned()).collect();
    assert_eq!(stages, known, "a stage that nobody can ask for, or one that is gone");
    for (stage, choice) in STAGES {
        let shown = help.split(|c: char| !c.is_alphanumeric()).any(|word| word == choice);
        assert!(shown, "{stage}: `rushes process --help` has no `{choice}`");
    }
}

#[test]
fn every_call_of_the_engine_is_one_of_the_command_line() {
    let engine = code(&workspace().join("engine/src/engine.rs"));
    let spoken: String = sources("cli/src").into_values().collect::<Vec<_>>().join("\n");
    for line in engine.lines().filter_map(|line| line.trim_start().strip_prefix("pub fn ")) {
        let name = line.split(['(', '<']).next().unwrap();
        let short = SHORT_FORMS.iter().find(|(known, _)| *known == name);
        let (_, means) = short.unwrap_or_else(|| {
            panic!("`Engine::{name}`: say in SHORT_FORMS by what the command line does the same")
        });
        assert!(spoken.contains(means), "`Engine::{name}`: the command line has no `{means}`");
    }
}

#[test]
fn every_public_item_is_reached_from_the_command_line() {
    let mut engine = sources("engine/src");
    // These name what others have.
    engine.retain(|file, _| !matches!(file.as_str(), "lib.rs" | "engine.rs"));
    let mut used: BTreeSet<String> = BTreeSet::new();
    for code in sources("cli/src").values() {
        used.extend(words(code).into_keys());
    }
    // A source is reached by the name of an item; what it uses is reached with it. One without items of its
    // own has methods of others'.
    let mut waiting: Vec<&String> = engine.keys().collect();
    loop {
        let reached = |file: &&String| {
            let code = &engine[*file];
            let items = items(code);
            items.is_empty() || code.contains("impl Catalogue") || !items.is_disjoint(&used)
        };
        let (next, rest): (Vec<&String>, Vec<&String>) = waiting.into_iter().partition(reached);
        waiting = rest;
        if next.is_empty() {
            break;
        }
        for file in next {
            let own = items(&engine[file]);
            // Its own items are there once where they are made.
            let counts = words(&engine[file]).into_iter();
            used.extend(
                counts.filter(|(word, n)| !own.contains(word) || *n > 1).map(|(word, _)| word),
            );
        }
    }
    let mut ghosts = Vec::new();
    for (file, code) in &engine {
        if ELSEWHERE.iter().any(|(folder, _)| file.starts_with(folder)) {
            continue;
        }
        let unused = items(code).into_iter().filter(|name| !used.contains(name));
        ghosts.extend(unused.map(|name| format!("engine/src/{file}: `{name}`")));
    }
    assert!(
        ghosts.is_empty(),
        "nothing on the way from the command line uses these; give them a verb, or remove them:\n{}",
        ghosts.join("\n")
    );
}
