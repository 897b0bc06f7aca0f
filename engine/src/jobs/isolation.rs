//! Tenants' libraries are their own.

use super::{Action, Message, Rules};
use crate::error::{Error, ErrorKind, Result, Stage};
use std::path::{Component, Path, PathBuf};

impl Rules {
    /// Refuses a job that would write outside its tenant's library, or read or write in another's
    /// (`[tenant.NAME] library`). Where links lead is looked at now, so a job is asked about when it is
    /// submitted and again before it begins.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`], with whose library it is.
    pub fn isolated(&self, message: &Message) -> Result<()> {
        if self.tenant.values().all(|tenant| tenant.library.is_none()) {
            return Ok(());
        }
        match &message.action {
            Action::Pipeline(pipeline) => pipeline.steps.iter().try_for_each(|step| {
                let media = step.media.as_deref().unwrap_or(&message.media);
                self.one_isolated(&message.tenant, media, &step.read()?)
            }),
            action => self.one_isolated(&message.tenant, &message.media, action),
        }
    }

    fn one_isolated(&self, tenant: &str, media: &Path, action: &Action) -> Result<()> {
        let refuse = |what: String| {
            let error = Error::new(ErrorKind::Limit, Stage::Process, what).input(media);
            Err(error.hint("the rules beside the queue say which library is whose"))
        };
        let Some(folder) = action.folder().map(real) else { return Ok(()) };
        let own = self.tenant.get(tenant).and_then(|rules| rules.library.as_deref()).map(real);
        if let Some(own) = own.filter(|own| !folder.starts_with(own)) {
            let (folder, own) = (folder.display(), own.display());
            return refuse(format!("tenant `{tenant}` may write to {own}, not to {folder}"));
        }
        let media = real(media);
        for (other, rules) in self.tenant.iter().filter(|(other, _)| *other != tenant) {
            let Some(theirs) = rules.library.as_deref().map(real) else { continue };
            // A folder around it would hold it: what is written there could replace it.
            if folder.starts_with(&theirs) || theirs.starts_with(&folder) {
                return refuse(format!("{} is the library of tenant `{other}`", theirs.display()));
            }
            if media.starts_with(&theirs) {
                return refuse(format!("lies in the library of tenant `{other}`"));
            }
        }
        Ok(())
    }
}

/// Where `path` really is: links followed as far as it is there, `.` and `..` taken out of the rest.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for there in path.ancestors() {
        let Ok(found) = there.canonicalize() else { continue };
        let mut found = found;
        for part in path.strip_prefix(there).unwrap_or(Path::new("")).components() {
            match part {
                Component::Normal(name) => found.push(name),
                Component::ParentDir => {
                    found.pop();
                }
                _ => {}
            }
        }
        return found;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{Embed, Frames, On, Priority};

    fn message(tenant: &str, media: &Path, action: Action) -> Message {
        Message {
            id: "x".into(),
            media: media.into(),
            action,
            priority: Priority::Normal,
            tenant: tenant.into(),
            timestamp: 0,
            on: On::Any,
            force: false,
            allow: Vec::new(),
        }
    }

    #[test]
    fn nobody_gets_at_anothers_library_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("libs/anna")).unwrap();
        std::os::unix::fs::symlink(at("libs/anna"), at("link")).unwrap();
        std::fs::write(
            at("rules.toml"),
            "[tenant.anna]\nlibrary = 'libs/anna'\n[tenant.bert]\nlibrary = 'libs/bert'\n",
        )
        .unwrap();
        let rules = Rules::read(&at("rules.toml")).unwrap();
        let film = at("film.mp4");
        let embed = |library: &str| Action::Embed(Embed { library: at(library) });
        let frames =
            |output: &str| Action::Frames(Frames { output: at(output), ..Frames::default() });
        let allowed = |tenant: &str, media: &Path, action: Action| {
            rules.isolated(&message(tenant, media, action)).is_ok()
        };
        assert!(allowed("anna", &film, embed("libs/anna")));
        assert!(allowed("anna", &film, embed("link")), "by another name");
        assert!(allowed("anna", &film, frames("libs/anna/stills")));
        assert!(allowed("", &film, embed("libs/other")));
        assert!(!allowed("anna", &film, embed("libs/other")), "not its own");
        assert!(!allowed("bert", &film, embed("libs/anna")));
        assert!(!allowed("", &film, embed("libs/../libs/bert/x")));
        assert!(!allowed("", &film, embed("link")));
        assert!(!allowed("", &film, frames("libs")), "around it");
        assert!(!allowed("bert", &at("libs/anna/film/audio.flac"), embed("libs/bert")));
        let step = serde_json::json!({"action": "embed", "params": {"library": at("libs/anna")}});
        let steps = Action::of("pipeline", serde_json::json!({"steps": [step]})).unwrap();
        assert!(allowed("anna", &film, steps.clone()) && !allowed("bert", &film, steps));
        let refused = rules.isolated(&message("", &film, embed("link"))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Limit);
    }
}
