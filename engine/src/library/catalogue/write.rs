//! Rows in.

use super::rows::{
    ClipRow, EmbeddingRow, FeatureRow, FrameRow, FrameTextRow, Owner, RowRef, Rows, ShotRow,
    TranscriptRow,
};
use super::values::{columns, vector_bytes};
use crate::media::{MediaInfo, StreamInfo, StreamKind};
use rusqlite::{Connection, named_params, params};

/// The rows that were written, by their places in [`Rows`].
#[derive(Default)]
struct Written {
    segments: Vec<i64>,
    shots: Vec<i64>,
    frames: Vec<i64>,
    clips: Vec<i64>,
}

impl Written {
    fn id(known: &[i64], row: RowRef) -> rusqlite::Result<i64> {
        match row {
            RowRef::Known(id) => Ok(id),
            // A stage that counts wrong; as for a number that refers to nothing.
            RowRef::New(n) => known.get(n).copied().ok_or(rusqlite::Error::QueryReturnedNoRows),
        }
    }

    /// Segment, shot, frame and clip of an owner.
    fn owner(&self, owner: Owner) -> rusqlite::Result<[Option<i64>; 4]> {
        Ok(match owner {
            Owner::Media => [None; 4],
            Owner::Segment(row) => [Some(Self::id(&self.segments, row)?), None, None, None],
            Owner::Shot(row) => [None, Some(Self::id(&self.shots, row)?), None, None],
            Owner::Frame(row) => [None, None, Some(Self::id(&self.frames, row)?), None],
            Owner::Clip(row) => [None, None, None, Some(Self::id(&self.clips, row)?)],
        })
    }
}

/// Writes what the stage run `run` found out about `media`.
pub(super) fn write(db: &Connection, media: i64, run: i64, rows: &Rows) -> rusqlite::Result<()> {
    let mut written = Written::default();
    if let Some(info) = &rows.probe {
        probe(db, media, run, info)?;
    }
    if let Some(row) = &rows.transcript {
        written.segments = transcript(db, media, run, row)?;
    }
    written.shots = shots(db, media, run, &rows.shots)?;
    written.frames = frames(db, media, run, &rows.frames, &written)?;
    texts(db, media, run, &rows.texts, &written)?;
    super::insight::write(db, media, run, &rows.insight)?;
    if let Some(row) = &rows.sound {
        super::insight::write_sound(db, media, run, row)?;
    }
    written.clips = clips(db, media, run, &rows.clips)?;
    let mut score = db.prepare_cached("INSERT INTO clip_scores VALUES (?1, ?2, ?3, ?4)")?;
    for row in &rows.clip_scores {
        let new = RowRef::New(usize::try_from(row.clip).unwrap_or(usize::MAX));
        let clip = Written::id(&written.clips, new)?;
        score.execute(params![clip, row.purpose, row.score, row.reasons])?;
    }
    features(db, media, run, &rows.features, &written)?;
    embeddings(db, media, run, &rows.embeddings, &written)?;
    super::taught::write(db, media, run, &rows.taught)
}

fn probe(db: &Connection, media: i64, run: i64, info: &MediaInfo) -> rusqlite::Result<()> {
    let (origin_ticks, origin_base) = columns(info.origin);
    let (duration_ticks, duration_base) = info.duration.map(columns).unzip();
    let json = serde_json::to_string(info).unwrap_or_default();
    db.prepare_cached("INSERT INTO probes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            run,
            media,
            info.container,
            origin_ticks,
            origin_base,
            duration_ticks,
            duration_base,
            json
        ],
    )?;
    info.streams.iter().try_for_each(|info| stream(db, media, run, info))
}

fn stream(db: &Connection, media: i64, run: i64, info: &StreamInfo) -> rusqlite::Result<()> {
    let (video, audio) = match &info.kind {
        StreamKind::Video(video) => (Some(video), None),
        StreamKind::Audio(audio) => (None, Some(audio)),
        _ => (None, None),
    };
    let kind = match &info.kind {
        StreamKind::Video(_) => "video",
        StreamKind::Audio(_) => "audio",
        StreamKind::Subtitle => "subtitle",
        StreamKind::Attachment { .. } => "attachment",
        StreamKind::Data => "data",
    };
    let mut statement = db.prepare_cached(
        "INSERT INTO streams VALUES (:run, :media, :n, :kind, :codec, :language, :decodable, \
         :width, :height, :frame_rate, :sample_rate, :channels)",
    )?;
    statement.execute(named_params! {
        ":run": run,
        ":media": media,
        ":n": info.index as i64,
        ":kind": kind,
        ":codec": info.codec,
        ":language": info.language,
        ":decodable": info.decodable,
        ":width": video.map(|v| v.display_width),
        ":height": video.map(|v| v.display_height),
        ":frame_rate": video.and_then(|v| v.frame_rate.as_deref()),
        ":sample_rate": audio.map(|a| a.sample_rate),
        ":channels": audio.map(|a| a.channels),
    })?;
    Ok(())
}

fn transcript(
    db: &Connection,
    media: i64,
    run: i64,
    row: &TranscriptRow,
) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached("INSERT INTO transcripts VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            run,
            media,
            row.language,
            row.language_probability,
            row.translated,
            row.model,
            row.engine,
            row.coverage
        ])?;
    let id = db.last_insert_rowid();
    let mut segment = db.prepare_cached(
        "INSERT INTO segments VALUES \
         (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let mut word =
        db.prepare_cached("INSERT INTO words VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let mut ids = Vec::with_capacity(row.segments.len());
    for (n, row) in row.segments.iter().enumerate() {
        let ((start, start_base), (end, end_base)) =
            (columns(row.span.start), columns(row.span.end));
        let values = params![
            id,
            media,
            n as i64,
            start,
            start_base,
            end,
            end_base,
            row.text,
            row.language,
            row.avg_logprob,
            row.no_speech_prob,
            row.doubt,
            row.language_probability
        ];
        let segment = segment.insert(values)?;
        for (n, row) in row.words.iter().enumerate() {
            let ((start, start_base), (end, end_base)) =
                (columns(row.span.start), columns(row.span.end));
            word.execute(params![
                segment,
                n as i64,
                start,
                start_base,
                end,
                end_base,
                row.text,
                row.probability,
                row.spaced
            ])?;
        }
        ids.push(segment);
    }
    Ok(ids)
}

fn shots(db: &Connection, media: i64, run: i64, rows: &[ShotRow]) -> rusqlite::Result<Vec<i64>> {
    let mut insert =
        db.prepare_cached("INSERT INTO shots VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let numbered = rows.iter().enumerate();
    let ids = numbered.map(|(n, row)| {
        let ((start, start_base), (end, end_base)) =
            (columns(row.span.start), columns(row.span.end));
        insert.insert(params![
            run,
            media,
            n as i64,
            start,
            start_base,
            end,
            end_base,
            row.transition,
            row.confidence
        ])
    });
    ids.collect()
}

fn frames(
    db: &Connection,
    media: i64,
    run: i64,
    rows: &[FrameRow],
    written: &Written,
) -> rusqlite::Result<Vec<i64>> {
    let mut insert = db.prepare_cached(
        "INSERT INTO frames VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
         ?14, ?15, ?16, ?17)",
    )?;
    let numbered = rows.iter().enumerate();
    let ids = numbered.map(|(n, row)| {
        let shot = row.shot.map(|shot| Written::id(&written.shots, shot)).transpose()?;
        let (time, time_base) = columns(row.time);
        let (wanted, wanted_base) = row.wanted.map(columns).unzip();
        let (from, from_base) = row.span.map(|span| columns(span.start)).unzip();
        let (until, until_base) = row.span.map(|span| columns(span.end)).unzip();
        insert.insert(params![
            run,
            media,
            shot,
            n as i64,
            time,
            time_base,
            wanted,
            wanted_base,
            row.pts,
            row.key,
            row.width,
            row.height,
            row.file,
            from,
            from_base,
            until,
            until_base
        ])
    });
    ids.collect()
}

fn texts(
    db: &Connection,
    media: i64,
    run: i64,
    rows: &[FrameTextRow],
    written: &Written,
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO frame_texts VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
         ?13)",
    )?;
    rows.iter().try_for_each(|row| {
        let frame = Written::id(&written.frames, row.frame)?;
        let [x, y, width, height] = row.bounds;
        let (from, from_base) = row.span.map(|span| columns(span.start)).unzip();
        let (until, until_base) = row.span.map(|span| columns(span.end)).unzip();
        insert.execute(params![
            run,
            media,
            frame,
            row.text,
            row.confidence,
            x,
            y,
            width,
            height,
            from,
            from_base,
            until,
            until_base
        ])?;
        Ok(())
    })
}

fn clips(db: &Connection, media: i64, run: i64, rows: &[ClipRow]) -> rusqlite::Result<Vec<i64>> {
    let mut insert = db.prepare_cached(
        "INSERT INTO clips VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let ids = rows.iter().map(|row| {
        let ((start, start_base), (end, end_base)) =
            (columns(row.span.start), columns(row.span.end));
        insert.insert(params![
            run, media, start, start_base, end, end_base, row.title, row.score, row.kind, row.text
        ])
    });
    ids.collect()
}

fn features(
    db: &Connection,
    media: i64,
    run: i64,
    rows: &[FeatureRow],
    written: &Written,
) -> rusqlite::Result<()> {
    let mut insert =
        db.prepare_cached("INSERT INTO features VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    // SQLite takes NaN for null; what could not be measured has no row.
    rows.iter().filter(|row| !row.value.is_nan()).try_for_each(|row| {
        let [segment, shot, frame, clip] = written.owner(row.owner)?;
        insert.execute(params![run, media, segment, shot, frame, clip, row.name, row.value])?;
        Ok(())
    })
}

fn embeddings(
    db: &Connection,
    media: i64,
    run: i64,
    rows: &[EmbeddingRow],
    written: &Written,
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO embeddings VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    rows.iter().try_for_each(|row| {
        let [segment, shot, frame, clip] = written.owner(row.owner)?;
        insert.execute(params![
            run,
            media,
            segment,
            shot,
            frame,
            clip,
            row.model,
            row.kind,
            row.vector.len() as i64,
            vector_bytes(&row.vector)
        ])?;
        Ok(())
    })
}
