//! Edits of other programs: OpenTimelineIO's own samples, and the CMX 3600 list that goes with one.

use rushes::Timestamp;
use rushes::timeline::{AssetFacts, Facts, Timeline, read_otio, write_edl};
use rushes_fixtures::shared;
use std::path::PathBuf;

/// The folder of third-party timelines, unless it is not there.
fn samples(folder: &str) -> Option<PathBuf> {
    let found = shared(&format!("5-timeline/{folder}/sample_data"));
    if found.is_none() {
        eprintln!("no shared data: not compared");
    }
    found
}

/// Assets as long as anybody wants.
fn facts(timeline: &Timeline) -> Facts {
    let long = Some(Timestamp::from_secs(40 * 3600));
    let of = |asset: &rushes::timeline::Asset| AssetFacts {
        pictures: long.filter(|_| asset.file.is_some()),
        sound: long.filter(|_| asset.file.is_some()),
        still: asset.image.is_some(),
        broken: None,
    };
    timeline.assets.iter().map(|(name, asset)| (name.clone(), of(asset))).collect()
}

/// What each sample comes to: tracks of pictures with their items, tracks of sound with theirs, and
/// how many things of it have no place in a spec; or the first fault.
const READ: &[(&str, &str)] = &[
    ("big_int.otio", "refused: /: is not JSON or JSON5: expected number at line 39 column 48"),
    ("clip_example.otio", "1 |  | 11 frames | 1 notes"),
    ("effects.otio", "13+1+0+0+4+0+0+0 | 0+2+1+0+6+0+1+1+0+1+1 | 1125 frames | 187 notes"),
    ("generator_reference_test.otio", "1 |  | 50 frames | 1 notes"),
    ("multiple_track.otio", "3+1+1 |  | 19 frames | 0 notes"),
    ("multitrack.otio", "3+1+1 |  | 2677 frames | 5 notes"),
    ("nested_example.otio", "4 |  | 636 frames | 7 notes"),
    ("preflattened.otio", "5 |  | 2677 frames | 5 notes"),
    ("premiere_example.otio", "1+3+1+2 | 2+1+1+2 | 636 frames | 3 notes"),
    ("screening_example.otio", "9 |  | 1049 frames | 9 notes"),
    ("simple_cut.otio", "4 |  | 19 frames | 0 notes"),
    ("transition.otio", "4 |  | 19 frames | 0 notes"),
    ("transition_test.otio", "3 |  | 150 frames | 3 notes"),
];

#[test]
fn every_sample_is_read_or_refused_as_it_should_be() {
    let Some(folder) = samples("otio") else { return };
    let mut seen = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".otio"))
        .collect();
    names.sort();
    for name in names {
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let came = match read_otio(&text) {
            Ok((timeline, notes)) => {
                let of = |items: Vec<usize>| {
                    items.iter().map(usize::to_string).collect::<Vec<_>>().join("+")
                };
                let video = of(timeline.video.iter().map(|track| track.items.len()).collect());
                let audio = of(timeline.audio.iter().map(|track| track.items.len()).collect());
                // What was read can be laid out, and written again.
                let laid = timeline.layout(&facts(&timeline));
                let frames = laid.map_or_else(|e| e.to_string(), |l| l.frames.to_string());
                format!("{video} | {audio} | {frames} frames | {} notes", notes.0.len())
            }
            Err(faults) => format!("refused: {}", faults.0[0]),
        };
        seen.push((name, came));
    }
    let wanted: Vec<_> = READ.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    assert_eq!(seen, wanted);
}

/// The source's and the record's in and out of each event of a list.
fn events(text: &str) -> Vec<[i64; 4]> {
    let code = |word: &str| -> Option<i64> {
        let parts: Vec<i64> = word.split(':').map(|p| p.parse().ok()).collect::<Option<_>>()?;
        let [h, m, s, f] = parts[..] else { return None };
        Some(((h * 60 + m) * 60 + s) * 24 + f)
    };
    text.lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|line| {
            let codes: Vec<i64> = line.split_whitespace().filter_map(code).collect();
            codes.try_into().ok()
        })
        .collect()
}

#[test]
fn an_edit_becomes_the_list_that_goes_with_it() {
    let (Some(otio), Some(edl)) = (samples("otio"), samples("otio-edl")) else { return };
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let (timeline, _) = read_otio(&read(otio.join("screening_example.otio"))).unwrap();
    let layout = timeline.layout(&facts(&timeline)).unwrap();
    let ours = events(&write_edl(&timeline, &layout));
    let theirs = events(&read(edl.join("screening_example.edl")));
    assert!(theirs.len() >= 9);
    // Theirs begins at 00:59:53:11, ours at 0.
    let start = theirs[0][2];
    let moved: Vec<_> = theirs.iter().map(|[a, b, c, d]| [*a, *b, c - start, d - start]).collect();
    assert_eq!(ours, moved);
}
