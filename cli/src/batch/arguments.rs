//! From a job's typed parameters to the words of the verb that does it. Each job is done by a process
//! of its own, so that whatever an input does to it costs this one job.

use rushes::jobs::{Action, Message};
use std::ffi::OsString;
use std::path::Path;

/// The command line, without the program's name.
pub fn arguments(message: &Message, threads: u32, models_dir: Option<&Path>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut put = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            // In one word: a value may begin with a dash.
            let mut word = OsString::from(format!("--{name}="));
            word.push(value);
            words.push(word);
        }
    };
    let text = |value: &Option<String>| value.clone().map(OsString::from);
    let number = |value: &Option<u32>| value.map(|n| OsString::from(n.to_string()));
    let list = |values: &[String]| (!values.is_empty()).then(|| OsString::from(values.join(",")));
    let models = models_dir.map(|dir| dir.as_os_str().to_owned());
    let verb = match &message.action {
        Action::Process(p) => {
            put("library", Some(p.library.clone().into()));
            put("every", text(&p.every));
            put("width", number(&p.width));
            put("stages", list(&p.stages));
            put("model", text(&p.model));
            put("models-dir", models);
            "process"
        }
        Action::Transcribe(t) => {
            put("output", Some(t.output.clone().into()));
            put("format", list(&t.format));
            put("model", text(&t.model));
            put("language", text(&t.language));
            put("models-dir", models);
            "transcribe"
        }
        Action::Frames(f) => {
            put("output", Some(f.output.clone().into()));
            put("every", text(&f.every));
            put("width", number(&f.width));
            "frames"
        }
        Action::Embed(e) => {
            put("library", Some(e.library.clone().into()));
            put("stages", Some("frames,embed".into()));
            put("models-dir", models);
            "process"
        }
        Action::Render(r) => {
            let mut file = message.media.file_stem().unwrap_or_default().to_owned();
            file.push(".mp4");
            put("output", Some(r.output.join(file).into()));
            put("jobs", Some(threads.to_string().into()));
            "render"
        }
        // A queue takes it on as its steps: nobody is ever asked to do one. The verb does not exist.
        Action::Pipeline(_) => "pipeline",
    };
    put("threads", Some(threads.to_string().into()));
    for change in &message.allow {
        put("allow", Some(change.into()));
    }
    if message.force {
        words.push("--force".into());
    }
    if matches!(&message.action, Action::Render(render) if render.preview) {
        words.push("--preview".into());
    }
    words.extend(["--json".into(), "--quiet".into(), "--".into(), message.media.clone().into()]);
    words.insert(0, verb.into());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;
    use rushes::jobs::{Embed, Frames, On, Priority, Process, Render, Transcribe};

    /// Whatever a job says, its words are understood, and nothing in them is taken for an option.
    #[test]
    fn every_action_is_a_command_line() {
        let odd = || Some("-x".to_owned());
        let actions = [
            Action::Process(Process {
                library: "-lib".into(),
                every: Some("2s".into()),
                width: Some(320),
                stages: vec!["frames".into(), "sheet".into()],
                model: odd(),
            }),
            Action::Transcribe(Transcribe {
                output: "--out".into(),
                format: vec!["srt".into()],
                model: odd(),
                language: Some("de".into()),
            }),
            Action::Frames(Frames { output: "o".into(), every: Some("1s".into()), width: None }),
            Action::Embed(Embed { library: "l".into() }),
            Action::Render(Render { output: "-r".into(), preview: true }),
        ];
        for action in actions {
            let message = Message {
                id: String::new(),
                media: "--force".into(),
                action,
                priority: Priority::Normal,
                tenant: String::new(),
                timestamp: 0,
                on: On::Any,
                force: false,
                allow: vec!["duration=72h".into(), "frames=5".into()],
            };
            for force in [false, true] {
                let message = Message { force, ..message.clone() };
                let words = arguments(&message, 1, Some("/models".as_ref()));
                let words = std::iter::once(OsString::from("rushes")).chain(words);
                let cli = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{e}"));
                assert!(cli.common.force == force && cli.common.json);
                assert_eq!(cli.common.limits().frames_out, 5);
                assert_eq!(cli.common.allowed(), ["duration=259200s", "frames=5"]);
            }
        }
    }
}
