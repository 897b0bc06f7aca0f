//! The frame that is given is the frame that was asked for: on films whose every picture carries
//! its number, in every coding, by every policy.

use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::media::{FrameSink, Picked, PictureConverter, PictureSize, ReadReport, Reading};
use rushes::{FramePolicy, Precision, Result, Timestamp};
use rushes_fixtures::{Numbered, Variant, have_encoder, numbered, read_number};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::Mutex;

/// A given frame: its place in the request, its time in milliseconds, the number on it.
type Given = (u64, i64, u32);

#[derive(Default)]
struct Numbers(Mutex<Vec<Given>>);

impl FrameSink for Numbers {
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let picture = converter.convert(picked.frame, PictureSize::Native)?;
        let number = read_number(picture.as_raw(), picture.width(), picture.height());
        self.0.lock().unwrap().push((picked.n, picked.frame.time().as_millis(), number));
        Ok(())
    }
}

impl Numbers {
    fn take(self) -> Vec<Given> {
        let mut given = self.0.into_inner().unwrap();
        given.sort_unstable();
        given
    }
}

fn open<'a>(path: &Path) -> Reading<'a> {
    Reading::open(path, &Limits::default(), &Cancel::new()).unwrap()
}

fn read(path: &Path, policy: FramePolicy, precision: Precision) -> (Vec<Given>, ReadReport) {
    let sink = Numbers::default();
    let report = open(path).frames(policy, precision, &sink).run().unwrap();
    (sink.take(), report)
}

fn variants() -> impl Iterator<Item = (Variant, Numbered)> {
    let have = Variant::ALL.iter().copied().filter(|v| have_encoder(v.encoder()));
    have.map(|variant| (variant, numbered(variant)))
}

fn millis(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms as i64)
}

/// Files whose times are rounded to the clock of the container: asked a little after a frame
/// begins (irregular films have frames of a few milliseconds), rounding cannot matter.
fn middle(film: &Numbered, number: u32) -> u64 {
    film.millis(number) + 3
}

#[test]
fn all_frames_come_once_and_in_order() {
    for (variant, film) in variants() {
        let (given, report) = read(&film.path, FramePolicy::All, Precision::Exact);
        let numbers: Vec<u32> = given.iter().map(|g| g.2).collect();
        assert_eq!(numbers, film.numbers().collect::<Vec<_>>(), "{variant:?} {report:?}");
        assert!(given.windows(2).all(|w| w[0].1 < w[1].1), "{variant:?}: times rise");
    }
}

#[test]
fn times_find_the_frame_on_screen() {
    for (variant, film) in variants() {
        // Backward, repeated, clustered and lone times; the first and the last frame.
        let wanted: Vec<u32> = [99, 0, 1, 2, 3, 47, 48, 49, 50, 51, 51, 73, 24, 25, 26, 98, 60]
            .into_iter()
            .map(|i| film.first + i * (film.frames - 1) / 99)
            .collect();
        let times = wanted.iter().map(|n| millis(middle(&film, *n))).collect();
        let (given, _) = read(&film.path, FramePolicy::At(times), Precision::Exact);
        let mut expected = wanted;
        expected.sort_unstable();
        let numbers: Vec<u32> = given.iter().map(|g| g.2).collect();
        assert_eq!(numbers, expected, "{variant:?}");
    }
}

#[test]
fn every_step_finds_the_frame_on_screen() {
    for (variant, film) in variants().filter(|(_, film)| film.timed) {
        for step in [200u64, 1000, 70] {
            let (given, _) = read(&film.path, FramePolicy::Every(millis(step)), Precision::Exact);
            let end = film.millis(film.first + film.frames - 1);
            let expected: Vec<u32> = (0..)
                .map(|i| i * step)
                .take_while(|t| *t <= end)
                .map(|t| film.number_at(t))
                .collect();
            let numbers: Vec<u32> = given.iter().map(|g| g.2).take(expected.len()).collect();
            // A container's clock may round a frame's time past the step: one frame less is right.
            let off: Vec<_> =
                expected.iter().zip(&numbers).filter(|(e, n)| e.abs_diff(**n) > 1).collect();
            assert!(off.is_empty(), "{variant:?} every {step} ms: {off:?}");
            let exact = expected.iter().zip(&numbers).filter(|(e, n)| e == n).count();
            let rounded = matches!(
                variant,
                Variant::Ts
                    | Variant::TsWrap
                    | Variant::Mpeg2
                    | Variant::Mpeg4Avi
                    | Variant::EditList
            );
            assert!(
                exact == expected.len() || rounded,
                "{variant:?} every {step} ms: {exact} of {}\n{expected:?}\n{numbers:?}",
                expected.len()
            );
        }
    }
}

#[test]
fn keyframes_are_the_keyframes() {
    for (variant, film) in variants().filter(|(_, film)| !film.keyframes.is_empty()) {
        let (given, report) = read(&film.path, FramePolicy::Keyframes, Precision::Exact);
        let numbers: Vec<u32> = given.iter().map(|g| g.2).collect();
        assert_eq!(numbers, film.keyframes, "{variant:?}");
        if film.timed && variant != Variant::Mpeg4Avi {
            assert_eq!(
                report.frames_decoded,
                film.keyframes.len() as u64,
                "{variant:?}: nothing else is decoded"
            );
        }
    }
}

#[test]
fn snapping_gives_the_keyframe_before_and_decodes_nothing_else() {
    for variant in [Variant::ClosedGop, Variant::OpenGop, Variant::Hevc, Variant::Ffv1, Variant::Ts]
    {
        if !have_encoder(variant.encoder()) {
            continue;
        }
        let film = numbered(variant);
        let wanted = [30u32, 31, 60, 99];
        let times = wanted.iter().map(|n| millis(middle(&film, *n))).collect();
        let (given, report) = read(&film.path, FramePolicy::At(times), Precision::Snap);
        let before = |n: u32| film.keyframes.iter().copied().filter(|k| *k <= n).max().unwrap();
        let mut expected: Vec<u32> = wanted.iter().map(|n| before(*n)).collect();
        expected.dedup();
        let numbers: Vec<u32> = given.iter().map(|g| g.2).collect();
        assert_eq!(numbers, expected, "{variant:?}");
        assert_eq!(report.frames_decoded, expected.len() as u64, "{variant:?}");
    }
}

#[test]
fn counts_are_spread_over_the_film() {
    for (variant, film) in variants().filter(|(_, film)| film.timed) {
        let count = NonZeroU32::new(7).unwrap();
        let (given, _) = read(&film.path, FramePolicy::Count(count), Precision::Exact);
        assert_eq!(given.len(), 7, "{variant:?}");
        let numbers: Vec<f64> = given.iter().map(|g| f64::from(g.2 - film.first)).collect();
        let part = f64::from(film.frames) / 7.0;
        for (i, number) in numbers.iter().enumerate() {
            let middle = part * (i as f64 + 0.5);
            // Uneven rates and a last frame that is shown long shift what lies in the middle.
            assert!((number - middle).abs() <= part, "{variant:?} {i}: {number} {middle}");
        }
    }
}

#[test]
fn several_consumers_share_one_decode() {
    let film = numbered(Variant::ClosedGop);
    let (a, b, c) = (Numbers::default(), Numbers::default(), Numbers::default());
    let report = open(&film.path)
        .frames(FramePolicy::Every(millis(480)), Precision::Exact, &a)
        .frames(FramePolicy::Keyframes, Precision::Exact, &b)
        .frames(FramePolicy::At(vec![millis(2603)]), Precision::Snap, &c)
        .run()
        .unwrap();
    let numbers = |given: Vec<Given>| given.into_iter().map(|g| g.2).collect::<Vec<_>>();
    assert_eq!(numbers(a.take()), [0, 12, 24, 36, 48, 60, 72, 84, 96]);
    assert_eq!(numbers(b.take()), [0, 25, 50, 75]);
    assert_eq!(numbers(c.take()), [50]);
    assert!(report.frames_decoded < 100, "{report:?}");
}

#[test]
fn what_nobody_wants_is_not_decoded() {
    let film = numbered(Variant::Long);
    let at = |times: &[u64]| FramePolicy::At(times.iter().map(|t| millis(*t)).collect());
    let (given, report) = read(&film.path, at(&[30_003]), Precision::Exact);
    assert_eq!(given[0].2, 750);
    assert_eq!(report.frames_decoded, 1, "a keyframe is asked for: {report:?}");
    let (given, report) = read(&film.path, at(&[10_963, 50_483]), Precision::Exact);
    assert_eq!(given.iter().map(|g| g.2).collect::<Vec<_>>(), [274, 1262]);
    assert!(report.frames_decoded <= 30, "two groups, references only: {report:?}");
}

#[test]
fn one_thread_and_small_memory_give_the_same() {
    let film = numbered(Variant::LongGop);
    let limits = Limits { in_flight_bytes: 8 << 10, ..Limits::default() };
    let sink = Numbers::default();
    let report = Reading::open(&film.path, &limits, &Cancel::new())
        .unwrap()
        .threads(NonZeroUsize::MIN)
        .frames(FramePolicy::Every(millis(200)), Precision::Exact, &sink)
        .run()
        .unwrap();
    let numbers: Vec<u32> = sink.take().into_iter().map(|g| g.2).collect();
    assert_eq!(numbers, (0..20).map(|i| i * 5).collect::<Vec<_>>(), "{report:?}");
}

#[test]
fn a_time_past_the_end_is_an_error() {
    let film = numbered(Variant::ClosedGop);
    for precision in [Precision::Exact, Precision::Snap] {
        let sink = Numbers::default();
        let policy = FramePolicy::At(vec![millis(100), millis(60_000)]);
        let error = open(&film.path).frames(policy, precision, &sink).run().unwrap_err();
        assert_eq!(error.kind(), rushes::ErrorKind::Input);
        assert!(error.to_string().contains("00:01:00.000"), "{error}");
    }
}
