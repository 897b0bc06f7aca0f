//! Sound lies where the map says: sample i at i / rate, through late starts, gaps, resampling and
//! odd data; mixed down by the book, and written as it is.

use crate::support::{Heard, arg, open, output, sound};
use rushes::Timestamp;
use rushes::media::{
    Channels, ReadReport, SoundContainer, SoundFormat, SpliceKind, StreamInfo, TOLERANCE,
};
use rushes::pipeline::{ExtractAudio, Run};
use rushes_fixtures as fixtures;
use std::num::NonZeroU32;
use std::path::Path;

const NATIVE_MONO: SoundFormat = SoundFormat { rate: None, channels: Channels::Mono };

/// Where the beep that is expected at `at` seconds is found: the shift at which the samples agree
/// best with a 1 kHz tone of 50 ms with silence around it.
fn beep_near(samples: &[f32], rate: u32, at: f64) -> f64 {
    let length = (f64::from(rate) * 0.05) as i64;
    let margin = (f64::from(rate) * 0.01) as i64;
    let centre = (at * f64::from(rate)).round() as i64;
    let sample = |i: i64| usize::try_from(i).ok().and_then(|i| samples.get(i)).copied();
    let agreement = |shift: i64| -> f64 {
        let mut sum = 0.0;
        let mut outside = 0.0;
        for i in -margin..length + margin {
            let value = f64::from(sample(centre + shift + i).unwrap_or(0.0));
            if (0..length).contains(&i) {
                sum += value * (i as f64 / f64::from(rate) * 1000.0 * std::f64::consts::TAU).sin();
            } else {
                outside += value.abs();
            }
        }
        sum - outside
    };
    let reach = (f64::from(rate) * 0.06) as i64;
    let best = (-reach..=reach).max_by(|a, b| agreement(*a).total_cmp(&agreement(*b))).unwrap();
    let tone = agreement(best) / length as f64;
    assert!(tone > 0.1, "no beep near {at} s: {tone:.3}");
    (centre + best) as f64 / f64::from(rate)
}

fn loudest(samples: &[f32], rate: u32, from: f64, to: f64) -> f32 {
    let index = |at: f64| ((at * f64::from(rate)) as usize).min(samples.len());
    samples[index(from)..index(to)].iter().fold(0.0, |most: f32, s| most.max(s.abs()))
}

/// Asserts beeps at these times of the pictures' clock, and silence elsewhere, at 16 kHz and at
/// the source's rate; gives the reports.
fn beeps_at(path: &Path, times: &[f64]) -> Vec<ReadReport> {
    beeps_within(path, times, 0.001)
}

fn beeps_within(path: &Path, times: &[f64], tolerance: f64) -> Vec<ReadReport> {
    let shown = open(path).info().video().and_then(|v| v.start).map_or(0.0, Timestamp::as_secs_f64);
    let read = |format| {
        let (heard, report) = sound(path, format);
        let rate = heard.rate();
        for time in times {
            let found = beep_near(&heard.samples, rate, time + shown);
            let late = found - time - shown;
            let what =
                format!("{} at {rate} Hz: beep {time} s is {late:.6} s late", path.display());
            assert!(late.abs() <= tolerance, "{what}");
        }
        for pair in times.windows(2) {
            let quiet =
                loudest(&heard.samples, rate, pair[0] + shown + 0.08, pair[1] + shown - 0.03);
            assert!(quiet < 0.02, "{}: noise between beeps: {quiet}", path.display());
        }
        report
    };
    vec![read(SoundFormat::SPEECH), read(NATIVE_MONO)]
}

fn splices(report: &ReadReport, kind: SpliceKind) -> Vec<(f64, u64)> {
    let splices = report.sound[0].splices.iter().filter(|s| s.kind == kind);
    splices.map(|s| (s.at.as_secs_f64(), s.samples)).collect()
}

#[test]
fn plain_film() {
    for report in beeps_at(&fixtures::film(), &[0.0, 1.0, 2.0]) {
        assert_eq!(report.sound[0].splices, []);
    }
    let rate = NonZeroU32::new(44_100);
    let (heard, _) = sound(&fixtures::wav(), SoundFormat { rate, channels: Channels::Mono });
    assert_eq!(heard.samples.len(), 3 * 44_100);
    for second in 0..3 {
        let found = beep_near(&heard.samples, 44_100, f64::from(second));
        assert!((found - f64::from(second)).abs() < 1.5 / 44_100.0, "{found}");
    }
}

#[test]
fn late_start() {
    for path in [fixtures::late_audio(), fixtures::late_audio_mkv()] {
        for report in beeps_at(&path, &[1.5, 2.5, 3.5]) {
            let late = splices(&report, SpliceKind::LateStart);
            assert_eq!(late.len(), 1, "{late:?}");
            assert!((late[0].1 as f64 / 48_000.0 - 1.5).abs() < 0.025, "{late:?}");
        }
    }
}

#[test]
fn gaps() {
    for path in [fixtures::audio_gap(), fixtures::audio_gap_ts()] {
        for report in beeps_at(&path, &[0.0, 2.0, 3.0]) {
            let gaps = splices(&report, SpliceKind::Gap);
            let silence: u64 = gaps.iter().map(|gap| gap.1).sum();
            assert!(silence.abs_diff(48_000) <= 1152, "{}: {gaps:?}", path.display());
        }
    }
    let (heard, report) = sound(&fixtures::audio_gap(), SoundFormat::SOURCE);
    assert_eq!(splices(&report, SpliceKind::Gap), [(1.0, 48_000)]);
    assert_eq!(heard.samples.len(), 4 * 48_000 * 2);
}

/// Packets do not end where pictures do: the second part's sound overlaps the first's by 16 ms,
/// which is less than is mended. All beeps are there, and never further off than that.
#[test]
fn streams_joined_end_to_end() {
    for report in beeps_within(&fixtures::size_change(), &[0.0, 1.0, 2.0, 3.0], 0.0165) {
        assert_eq!(report.sound[0].splices, []);
    }
}

/// The clock jumps back to the start after two seconds: that time was heard already, so what
/// comes again is left out, and the report says how much.
#[test]
fn clock_that_jumps_back() {
    for report in beeps_at(&fixtures::clock_jump(), &[0.0, 1.0]) {
        let shape = report.sound[0].shape.unwrap();
        let seconds = report.sound[0].samples as f64 / f64::from(shape.rate);
        assert!((1.9..2.1).contains(&seconds), "{seconds}");
        let overlap: u64 = splices(&report, SpliceKind::Overlap).iter().map(|s| s.1).sum();
        assert!(overlap.abs_diff(96_000) < 4000, "{overlap}");
    }
}

/// Where a stretch of the source lies by its stamp, there it lies in the output: every packet of
/// every clip, by ffprobe's account of the frames.
#[test]
fn stretches_lie_at_their_stamps() {
    let paths = [fixtures::film(), fixtures::late_audio_mkv(), fixtures::audio_gap_ts()];
    for path in paths {
        let (heard, _) = sound(&path, SoundFormat::SOURCE);
        let reading = open(&path);
        let stream: &StreamInfo = reading.info().audio().unwrap();
        let origin = reading.info().origin.as_secs_f64();
        let show = "frame=best_effort_timestamp_time";
        let listed = output(
            "ffprobe",
            &["-v", "error", "-select_streams", &stream.index.to_string()]
                .into_iter()
                .chain(["-show_entries", show, "-of", "csv=p=0", arg(&path)])
                .collect::<Vec<_>>(),
        );
        let listed = String::from_utf8(listed).unwrap();
        let times =
            listed.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
        let mut checked = 0;
        for time in times.map(|time| time - origin).filter(|time| *time >= 0.0) {
            let near = |start: &&(u64, f64)| (start.1 - time).abs() <= TOLERANCE.as_secs_f64();
            assert!(heard.starts.iter().find(near).is_some(), "{}: {time}", path.display());
            checked += 1;
        }
        assert!(checked > 50, "{checked}");
    }
}

#[test]
fn no_number_is_not_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = Vec::new();
    for case in fixtures::hostile::all() {
        if case.extension != "wav" || !case.valid() {
            continue;
        }
        let path = case.write(folder.path());
        for format in [SoundFormat::SOURCE, SoundFormat::SPEECH] {
            let (heard, _) = sound(&path, format);
            assert!(!heard.samples.is_empty(), "{}", case.name);
            assert!(heard.samples.iter().all(|s| s.is_finite()), "{}", case.name);
        }
        checked.push(case.name);
    }
    assert!(checked.contains(&"wav-nan") && checked.contains(&"wav-mixed"), "{checked:?}");
    // One sample that is no number must not silence those around it.
    let mixed = fixtures::hostile::all().into_iter().find(|case| case.name == "wav-mixed").unwrap();
    let (heard, _) = sound(&mixed.write(folder.path()), SoundFormat::SPEECH);
    let loud = heard.samples.iter().filter(|s| s.abs() > 0.01).count();
    assert!(loud * 2 > heard.samples.len(), "{loud} of {}", heard.samples.len());
}

/// A six-channel WAV of half a second at 48 kHz: 0.5 in one channel, nothing in the others.
fn one_channel(folder: &Path, mask: u32, channel: usize) -> std::path::PathBuf {
    const CHANNELS: usize = 6;
    let frames = 24_000;
    let mut data = Vec::new();
    for _ in 0..frames {
        for c in 0..CHANNELS {
            data.extend((if c == channel { 16_384i16 } else { 0 }).to_le_bytes());
        }
    }
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((60 + data.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(40u32.to_le_bytes());
    wav.extend(0xfffe_u16.to_le_bytes());
    wav.extend((CHANNELS as u16).to_le_bytes());
    wav.extend(48_000u32.to_le_bytes());
    wav.extend((48_000 * CHANNELS as u32 * 2).to_le_bytes());
    wav.extend((CHANNELS as u16 * 2).to_le_bytes());
    for field in [16u16, 22, 16] {
        wav.extend(field.to_le_bytes());
    }
    wav.extend(mask.to_le_bytes());
    // KSDATAFORMAT_SUBTYPE_PCM
    wav.extend([1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    wav.extend(b"data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    let path = folder.join(format!("{mask:x}-{channel}.wav"));
    std::fs::write(&path, wav).unwrap();
    path
}

/// ITU-R BS.775-3, table 2 (L, R, C, LFE, left and right surround), divided by the sum of a row's
/// coefficients so that nothing can clip.
#[test]
fn downmix_by_the_book() {
    const H: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let stereo = [[1.0, 0.0, H, 0.0, H, 0.0], [0.0, 1.0, H, 0.0, 0.0, H]];
    let mono = [[H, H, 1.0, 0.0, 0.5, 0.5]];
    let folder = tempfile::tempdir().unwrap();
    // 5.1 with surrounds at the back and at the sides
    for mask in [0x3f, 0x60f] {
        for channel in 0..6 {
            let path = one_channel(folder.path(), mask, channel);
            let check = |channels, table: &[[f32; 6]]| {
                let (heard, _) = sound(&path, SoundFormat { rate: None, channels });
                for (out, row) in table.iter().enumerate() {
                    let expected = 0.5 * row[channel] / row.iter().sum::<f32>();
                    let got = heard.channel(out)[12_000];
                    let what = format!("mask {mask:x}, channel {channel} into {channels:?} {out}");
                    assert!((got - expected).abs() < 1e-4, "{what}: {got}, not {expected}");
                }
            };
            check(Channels::Stereo, &stereo);
            check(Channels::Mono, &mono);
        }
    }
}

/// Left and right alike and at full scale stay within full scale as one.
#[test]
fn stereo_to_mono_does_not_clip() {
    let (stereo, _) = sound(&fixtures::wav(), SoundFormat::SOURCE);
    let (mono, _) = sound(&fixtures::wav(), NATIVE_MONO);
    assert_eq!(stereo.channels(), 2);
    for (i, mixed) in mono.samples.iter().enumerate() {
        let mean = f32::midpoint(stereo.samples[2 * i], stereo.samples[2 * i + 1]);
        assert!((mixed - mean).abs() < 1e-4, "sample {i}: {mixed}, not {mean}");
    }
}

/// The samples of a file as ffmpeg decodes them, 16 bits.
fn decoded(path: &Path) -> Vec<i16> {
    let args = ["-v", "error", "-i", arg(path), "-f", "s16le", "-"];
    let bytes = output("ffmpeg", &args);
    bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
}

#[test]
fn sound_files_hold_what_was_heard() {
    let folder = tempfile::tempdir().unwrap();
    for source in [fixtures::film(), fixtures::late_audio(), fixtures::audio_gap()] {
        for format in [SoundFormat::SPEECH, SoundFormat::SOURCE] {
            let (heard, _) = sound(&source, format);
            let exact = |s: &f32| (s * 32768.0).round().clamp(-32768.0, 32767.0) as i16;
            let expected: Vec<i16> = heard.samples.iter().map(exact).collect();
            for (container, name) in
                [(SoundContainer::Wav, "a.wav"), (SoundContainer::Flac, "a.flac")]
            {
                let target = folder.path().join(name);
                let run = Run { force: true, ..Run::default() };
                let made = ExtractAudio { format, container }.run(&source, &target, &run).unwrap();
                assert_eq!(
                    made.result.unwrap().samples as usize,
                    heard.samples.len() / heard.channels()
                );
                assert!(decoded(&target) == expected, "{} as {name}", source.display());
                // and read by ourselves
                let (again, _) = sound(&target, SoundFormat::SOURCE);
                assert_eq!(again.shape, heard.shape);
                let again: Vec<i16> = again.samples.iter().map(exact).collect();
                assert!(again == expected, "{} as {name}", source.display());
            }
        }
    }
}

/// Sound that needs neither mixing nor resampling comes through bit by bit (16 and 24 bits).
#[test]
fn lossless_stays_lossless() {
    for path in [fixtures::wav(), fixtures::flac()] {
        let (heard, _) = sound(&path, SoundFormat::SOURCE);
        let bytes = output("ffmpeg", &["-v", "error", "-i", arg(&path), "-f", "f32le", "-"]);
        let samples = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        assert!(heard.samples == samples.collect::<Vec<_>>(), "{}", path.display());
    }
}

/// Three formats of one reading are the three readings' sound.
#[test]
fn one_reading_serves_all() {
    let path = fixtures::film();
    let (mut a, mut b) = (Heard::default(), Heard::default());
    let report = open(&path)
        .sound(SoundFormat::SPEECH, &mut a)
        .sound(SoundFormat::SOURCE, &mut b)
        .run()
        .unwrap();
    assert_eq!(report.sound.len(), 2);
    assert!(a.samples == sound(&path, SoundFormat::SPEECH).0.samples);
    assert!(b.samples == sound(&path, SoundFormat::SOURCE).0.samples);
}
