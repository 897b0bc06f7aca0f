//! Where the shots of a film begin.

use super::{Bench, Found};
use crate::bench::film::{Film, RATE};
use crate::bench::turns::rate;
use rushes::pipeline::{FindShots, ShotSettings};
use rushes::time::{TimeBase, Timestamp};

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let film = Film::of(bench.quick);
    let path = film.write(&bench.folder)?;
    let cuts: Vec<Timestamp> = film
        .cuts()
        .into_iter()
        .map(|n| Timestamp::new(i64::from(n), TimeBase::per_second(RATE)))
        .collect();
    let mut found = Found { media: Some(f64::from(film.seconds)), ..Found::default() };
    for (name, skip) in [("fast", ShotSettings::default().skip), ("fast, every frame", None)] {
        let job = FindShots {
            settings: ShotSettings { skip, ..ShotSettings::default() },
            ..FindShots::default()
        };
        let run = &bench.session.run;
        let (times, (list, _)) =
            bench.turns.time(&run.cancel, || Ok(job.shots(&path, None, run)?))?;
        let starts: Vec<Timestamp> = list.shots.iter().skip(1).map(|shot| shot.start).collect();
        found.measures.push(rate(name, "frames/s", f64::from(film.frames()), &times));
        let seen = format!("{} of {} cuts, exact", starts.len(), cuts.len());
        found.check(&format!("{name}: cuts to the frame"), starts == cuts, seen);
    }
    Ok(found)
}
