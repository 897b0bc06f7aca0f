//! Uploads in parts that go on where they were stopped.
//!
//! What was sent is noted down after each part: the upload's name at the other side, and the parts it
//! has acknowledged. The note belongs to one content and one size of parts; another begins anew.

use super::remote::{Remote, told};
use crate::control::Cancel;
use crate::error::{Error, Result, Stage};
use crate::library::StagedFile;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as ObjectPath;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The size of a part: every store takes this, and 10,000 of them are 156 GiB.
const PART: u64 = 16 << 20;

/// What was sent so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sent {
    object: String,
    id: String,
    part: u64,
    parts: Vec<String>,
}

/// What an upload did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uploaded {
    /// Parts that were sent now.
    pub sent: usize,
    /// Parts that an earlier upload had sent.
    pub known: usize,
}

/// Sends `file` to `object`; `note` is where it is noted down what was sent.
pub(super) async fn upload(
    remote: &Remote,
    file: &Path,
    object: &str,
    note: &Path,
    cancel: &Cancel,
) -> Result<Uploaded> {
    upload_by(remote, file, object, note, PART, cancel).await
}

pub(super) async fn upload_by(
    remote: &Remote,
    file: &Path,
    object: &str,
    note: &Path,
    part: u64,
    cancel: &Cancel,
) -> Result<Uploaded> {
    let failed = |e| Error::io(Stage::Assets, file, e);
    let place = ObjectPath::from(object);
    let parts: &dyn MultipartStore = &*remote.parts;
    let mut from = File::open(file).map_err(failed)?;
    let size = from.metadata().map_err(failed)?.len();
    let earlier =
        std::fs::read(note).ok().and_then(|text| serde_json::from_slice::<Sent>(&text).ok());
    let earlier = earlier.filter(|sent| sent.object == object && sent.part == part);
    let mut sent = match earlier {
        Some(sent) => sent,
        None => begin(parts, &place, object, part).await.map_err(told(remote))?,
    };
    let mut done = Uploaded { known: sent.parts.len(), ..Uploaded::default() };
    let count = size.div_ceil(part).max(1);
    while (sent.parts.len() as u64) < count {
        cancel.check(Stage::Assets)?;
        let n = sent.parts.len();
        from.seek(SeekFrom::Start(n as u64 * part)).map_err(failed)?;
        let mut data = Vec::new();
        (&mut from).take(part).read_to_end(&mut data).map_err(failed)?;
        match parts.put_part(&place, &sent.id, n, data.into()).await {
            Ok(id) => sent.parts.push(id.content_id),
            // The other side forgets uploads that are not finished; then all of it is sent.
            Err(object_store::Error::NotFound { .. }) if done.known > 0 => {
                sent = begin(parts, &place, object, part).await.map_err(told(remote))?;
                done = Uploaded::default();
                continue;
            }
            Err(error) => return Err(told(remote)(error)),
        }
        done.sent += 1;
        keep(&sent, note)?;
    }
    let ids = sent.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
    parts.complete_multipart(&place, &sent.id, ids).await.map_err(told(remote))?;
    let _ = std::fs::remove_file(note);
    Ok(done)
}

async fn begin(
    parts: &dyn MultipartStore,
    place: &ObjectPath,
    object: &str,
    part: u64,
) -> object_store::Result<Sent> {
    let id = parts.create_multipart(place).await?;
    Ok(Sent { object: object.to_owned(), id, part, parts: Vec::new() })
}

fn keep(sent: &Sent, note: &Path) -> Result<()> {
    let text = serde_json::to_vec(sent).unwrap_or_default();
    let mut file = StagedFile::new(note)?;
    file.write(&text)?;
    file.publish()
}
