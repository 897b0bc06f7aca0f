//! A wide film cut to a tall one: the cut follows what moves, and stays where it was told otherwise.

use crate::support::{arg, output};
use rushes::Timestamp;
use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::render::Edit;
use rushes::timeline::{Animated, Focus, Timeline};
use std::path::{Path, PathBuf};

const SECONDS: u32 = 6;

/// 640 × 360 at 25 a second: noise on grey, and where `x` (an expression of ffmpeg's, in samples, of
/// `t`) is given a red square of 60 samples on it.
fn film(dir: &Path, name: &str, x: Option<&str>) -> PathBuf {
    let path = dir.join(name);
    let ground = format!("color=0x606060:s=640x360:r=25:d={SECONDS},noise=alls=8:allf=t");
    let square = format!("color=red:s=60x60:r=25:d={SECONDS}");
    let lay = x.map_or("[0]null".into(), |x| format!("[0][1]overlay=x='{x}':y=140"));
    let args = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        &ground,
        "-f",
        "lavfi",
        "-i",
        &square,
        "-filter_complex",
        &lay,
        "-c:v",
        "mpeg4",
        "-q:v",
        "3",
        "-y",
        arg(&path),
    ];
    output("ffmpeg", &args);
    path
}

fn edit(film: &Path, item: &str) -> Edit {
    let spec = format!(
        "{{ rushes: 1, canvas: {{ size: '180x320', rate: 25 }}, assets: {{ a: {{ file: '{}' }} }},
            video: [{{ items: [{{ asset: 'a', {item} }}] }}] }}",
        film.display()
    );
    let timeline = Timeline::parse(&spec).unwrap_or_else(|faults| panic!("{faults}"));
    Edit::open(timeline, Path::new("/"), &Limits::default(), &Cancel::new()).unwrap()
}

fn focus(edit: &Edit) -> Focus {
    edit.layout().video[0][0].item.focus.clone().unwrap()
}

/// The left and right edges of what is red, as columns of the picture.
fn red(picture: &image::RgbImage) -> Option<(u32, u32)> {
    let is_red = |p: &image::Rgb<u8>| p[0] > 150 && p[1] < 90 && p[2] < 90;
    let columns = || picture.enumerate_pixels().filter(|(_, _, p)| is_red(p)).map(|(x, _, _)| x);
    Some((columns().min()?, columns().max()?))
}

/// Every half second: the whole square is in view, and how far its middle is from the picture's.
fn in_view(edit: &Edit) -> Vec<f64> {
    let seen = |i: i64| {
        let picture = edit.frame(Timestamp::from_millis(i * 500)).unwrap();
        let (left, right) = red(&picture).unwrap_or_else(|| panic!("{i}: out of view"));
        // 60 of 360 samples of height are 53 of 320.
        assert!(right - left >= 50, "{i}: {left} to {right}");
        f64::from(left + right) / 2.0 - 90.0
    };
    (0..i64::from(SECONDS) * 2).map(seen).collect()
}

#[test]
fn a_square_that_crosses_the_picture_stays_in_view() {
    let dir = tempfile::tempdir().unwrap();
    let across = film(dir.path(), "across.mp4", Some("20+90*t"));
    let follow = "fit: 'cover', focus: { x: 0.5, y: 0.5, follow: true }";
    let edit_of = |item: &str| edit(&across, item);
    for item in [follow.to_owned(), format!("{follow}, reverse: true")] {
        let off = in_view(&edit_of(&item));
        assert!(off.iter().all(|off| off.abs() < 60.0), "{item}: {off:?}");
    }
    // At the middle it stays without being told to follow, and the square is lost.
    let stays = edit_of("fit: 'cover', focus: { x: 0.5, y: 0.5 }");
    assert!(red(&stays.frame(Timestamp::ZERO).unwrap()).is_none());
    // The path is one of keyframes, goes one way, and no faster than two fifths a second.
    let focus = focus(&edit_of(follow));
    let Animated::Moving(keys) = &focus.x else { panic!("{focus:?}") };
    let rate = stays.timeline().canvas.rate;
    for pair in keys.windows(2) {
        let time = pair[1].at.resolve(rate).minus(pair[0].at.resolve(rate)).as_secs_f64();
        let speed = (pair[1].value - pair[0].value) / time;
        assert!((-1e-3..=0.401).contains(&speed), "{speed}");
    }
    assert_eq!(focus.follow, None);
}

#[test]
fn a_square_that_stands_is_not_followed_to_and_fro() {
    let dir = tempfile::tempdir().unwrap();
    let stands = film(dir.path(), "stands.mp4", Some("470+4*sin(9*t)"));
    let edit = edit(&stands, "fit: 'cover', focus: { x: 0.5, y: 0.5, follow: true }");
    let Animated::Still(x) = focus(&edit).x else { panic!("{:?}", focus(&edit)) };
    assert!((x - 500.0 / 640.0).abs() < 0.045, "{x}");
    in_view(&edit);
}

#[test]
fn where_nothing_draws_the_eye_the_stated_focus_stays() {
    let dir = tempfile::tempdir().unwrap();
    let empty = film(dir.path(), "empty.mp4", None);
    let edit = edit(&empty, "fit: 'cover', focus: { x: 0.3, y: 0.5, follow: true }");
    assert_eq!(focus(&edit).x, Animated::Still(0.3));
}

#[test]
fn a_cut_in_the_film_is_a_jump_of_the_path() {
    let dir = tempfile::tempdir().unwrap();
    // Another place, darker, with the square elsewhere, from frame 61 on.
    let path = dir.path().join("cut.mp4");
    // By time: the filters do not count frames alike.
    let graph = "[0][1]overlay=x='if(lt(t,2.42),80,480)':y=140,\
                 geq=lum='if(lt(T,2.42),lum(X,Y),255-lum(X,Y))':cb='cb(X,Y)':cr='cr(X,Y)'";
    let args = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "gradients=s=640x360:r=25:d=6:c0=0xc0c0c0:c1=0xa0a0a0:nb_colors=2:speed=0.00001:seed=3",
        "-f",
        "lavfi",
        "-i",
        "color=red:s=60x60:r=25:d=6",
        "-filter_complex",
        graph,
        "-c:v",
        "mpeg4",
        "-q:v",
        "3",
        "-g",
        "10",
        "-y",
        arg(&path),
    ];
    output("ffmpeg", &args);
    let edit = edit(&path, "fit: 'cover', focus: { x: 0.5, y: 0.5, follow: true }");
    let x = focus(&edit).x;
    let rate = edit.timeline().canvas.rate;
    let at = |n: i64| x.at(rate.time(n), rate);
    assert!((at(60) - 110.0 / 640.0).abs() < 0.06, "{x:?}");
    assert!((at(61) - 510.0 / 640.0).abs() < 0.06, "{x:?}");
}
