//! What a manifest must keep to. Names become folders, arguments of commands and addresses, so the
//! rules are checked, not assumed.

use super::{Artefact, ArtefactFile, Converter, Pictures, Source};

/// The kinds of machine that native code may be for.
const MACHINES: [&str; 2] = ["linux-x86_64", "linux-aarch64"];

impl Artefact {
    pub(super) fn check(&self) -> Result<(), String> {
        plain_name("name", &self.name)?;
        for (what, text) in
            [("about", &self.about), ("licence", &self.licence), ("credit", &self.credit)]
        {
            if text.trim().is_empty() {
                return Err(format!("`{what}` is empty"));
            }
        }
        if self.dims == Some(0) {
            return Err("`dims` is 0".into());
        }
        if let Some(pictures) = &self.pictures {
            pictures.check()?;
            if self.dims.is_none() {
                return Err("`pictures` without `dims`".into());
            }
        }
        if let Some(device) = self.memory.keys().find(|d| !matches!(d.as_str(), "cpu" | "cuda")) {
            return Err(format!("`memory` names no device: `{device}`"));
        }
        if self.files.is_empty() {
            return Err("there are no files".into());
        }
        for (at, file) in self.files.iter().enumerate() {
            let same = |e: &&ArtefactFile| e.name == file.name;
            let apart = |e: &ArtefactFile| match (&e.machine, &file.machine) {
                (Some(a), Some(b)) => a != b,
                _ => false,
            };
            if self.files[..at].iter().filter(same).any(|earlier| !apart(earlier)) {
                return Err(format!("two files are named {}", file.name));
            }
            file.check(true)?;
        }
        Ok(())
    }
}

impl Pictures {
    fn check(&self) -> Result<(), String> {
        if self.input.is_empty() || self.output.is_empty() {
            return Err("`pictures`: `input` or `output` is empty".into());
        }
        // Beyond any such network; what is larger would be a mistake that costs memory.
        let sizes = self.size.iter().chain(&self.shortest);
        if !sizes.copied().all(|side| (1..=4096).contains(&side)) {
            return Err("`pictures`: a side is not 1 to 4096".into());
        }
        let finite = self.mean.iter().chain(&self.deviation).all(|value| value.is_finite());
        if !finite || self.deviation.contains(&0.0) {
            return Err("`pictures`: `mean` or `deviation` cannot be used".into());
        }
        Ok(())
    }
}

impl ArtefactFile {
    fn check(&self, may_convert: bool) -> Result<(), String> {
        plain_name("file name", &self.name)?;
        let slip = |message: &str| Err(format!("{}: {message}", self.name));
        if self.bytes == Some(0) {
            return slip("`bytes` is 0");
        }
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if self.sha256.as_ref().is_some_and(|s| s.len() != 64 || !s.bytes().all(hex)) {
            return slip("`sha256` is not 64 lower-case hex digits");
        }
        if self.sources.is_empty() {
            return slip("there are no sources");
        }
        let hub_only = self.sources.iter().all(|s| matches!(s, Source::Huggingface { .. }));
        if (self.bytes.is_none() || self.sha256.is_none()) && !hub_only {
            return slip("`bytes` or `sha256` is missing, and not every source is a hub");
        }
        if self.machine.as_ref().is_some_and(|m| !MACHINES.contains(&m.as_str())) {
            return slip("`machine` is not a known one");
        }
        for source in &self.sources {
            if matches!(source, Source::Convert { .. }) && !may_convert {
                return slip("what is converted must be had as it is");
            }
            source.check().map_err(|e| format!("{}: {e}", self.name))?;
        }
        Ok(())
    }
}

impl Source {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Huggingface { repo, revision, file } => {
                let Some((owner, name)) = repo.split_once('/') else {
                    return Err(format!("`{repo}` is not OWNER/NAME"));
                };
                plain_name("owner", owner)?;
                plain_name("repository", name)?;
                plain_name("revision", revision)?;
                // The parts become folders and pieces of an address.
                file.split('/').try_for_each(|part| plain_name("file", part))
            }
            Self::Npm { package, version, path } => {
                // A scope is the one place where a package's name may hold `@` and `/`.
                let bare = match package.strip_prefix('@').and_then(|p| p.split_once('/')) {
                    Some((scope, name)) => {
                        plain_name("scope", scope)?;
                        name
                    }
                    None => package,
                };
                package_member(bare, version, path)
            }
            Self::Pypi { package, version, path, platform, python } => {
                for text in [platform, python].into_iter().flatten() {
                    plain_name("platform", text)?;
                }
                package_member(package, version, path)
            }
            Self::Url { url } => match url.split_once("://") {
                Some(("http" | "https", rest))
                    if !rest.is_empty()
                        && url.bytes().all(|b| b.is_ascii_graphic())
                        && !rest.split('/').next().unwrap_or_default().contains('@') =>
                {
                    Ok(())
                }
                _ => Err(format!("`{url}` is not a plain http or https address")),
            },
            Self::Local { path } if path.starts_with('/') => Ok(()),
            Self::Local { path } => Err(format!("`{path}` is not an absolute path")),
            Self::Convert { with, inputs } => {
                let wanted = match with {
                    Converter::WhisperGgml => 4,
                    Converter::PthSafetensors => 1,
                };
                if inputs.len() != wanted {
                    return Err(format!(
                        "the converter takes {wanted} files, not {}",
                        inputs.len()
                    ));
                }
                inputs.iter().try_for_each(|input| input.check(false))
            }
        }
    }
}

fn package_member(package: &str, version: &str, path: &str) -> Result<(), String> {
    plain_name("package", package)?;
    // A version is exact, never a range or a tag that may move.
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("`{version}` is not an exact version"));
    }
    plain_name("version", version)?;
    if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("`{path}` is not a plain path in a package"));
    }
    Ok(())
}

/// Letters, digits and `. _ + -`, beginning with a letter or digit: safe as a file name and as an
/// argument of a command.
fn plain_name(what: &str, text: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    if text.bytes().all(good) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(format!("{what} `{text}` holds characters that names may not have"))
    }
}
