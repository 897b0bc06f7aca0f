//! The planner against a model decoder: on random streams with reordering, references, open
//! groups and cuts, what a decoder makes of the planned packets holds every wanted picture.

use super::*;
use crate::media::select::{FramePolicy, Precision, Schedule, StreamClock};
use crate::time::{TimeBase, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A picture of the model: `needs` are the ticks of the pictures it refers to.
#[derive(Clone, Debug)]
struct Model {
    tick: i64,
    dts: i64,
    key: bool,
    reference: bool,
    needs: Vec<i64>,
}

impl Coded for Model {
    fn tick(&self) -> Option<i64> {
        Some(self.tick)
    }
    fn dts(&self) -> Option<i64> {
        Some(self.dts)
    }
    fn duration(&self) -> i64 {
        10
    }
    fn is_key(&self) -> bool {
        self.key
    }
    fn is_hidden(&self) -> bool {
        false
    }
    fn size(&self) -> u64 {
        100
    }
}

/// A stream in decode order: groups of mini-groups `I/P (b…)`, the b shown before the P they
/// follow; in open groups the keyframe is followed by b pictures of the group before.
fn stream(groups: &[(usize, usize)], open: bool) -> Vec<Model> {
    let mut pictures: Vec<Model> = Vec::new();
    let mut shown = 0i64;
    let mut last_anchor: Option<i64> = None;
    for (g, (anchors, b)) in groups.iter().enumerate() {
        for a in 0..*anchors {
            let key = a == 0;
            let bare = key && (g == 0 || !open);
            let leading = if bare { 0 } else { *b as i64 };
            let anchor = (shown + leading) * 10;
            let needs = if key { vec![] } else { last_anchor.into_iter().collect() };
            pictures.push(Model { tick: anchor, dts: 0, key, reference: true, needs });
            for i in 0..leading {
                let tick = (shown + i) * 10;
                let needs = last_anchor.into_iter().chain([anchor]).collect();
                pictures.push(Model { tick, dts: 0, key: false, reference: false, needs });
            }
            shown += leading + 1;
            last_anchor = Some(anchor);
        }
    }
    for (i, picture) in pictures.iter_mut().enumerate() {
        picture.dts = i as i64 * 10 - 100;
    }
    pictures
}

/// Runs the planned parts through a model decoder; gives, for each target, the tick it found.
fn decode(parts: Vec<Part<Model>>) -> (Vec<(u64, i64)>, usize) {
    let mut found = Vec::new();
    let mut decoded_count = 0;
    let mut held: BTreeSet<i64> = BTreeSet::new();
    let mut targets: Vec<Target> = Vec::new();
    let mut first_key = 0;
    for part in parts {
        if part.first {
            held.clear();
            first_key = part.packets.first().map_or(0, |(p, _)| p.tick);
        }
        targets.extend(part.targets);
        for (picture, effort) in &part.packets {
            if *effort == Effort::ReferencesOnly && !picture.reference {
                continue;
            }
            assert!(
                picture.needs.iter().all(|need| held.contains(need)),
                "{picture:?} lacks its references"
            );
            held.insert(picture.tick);
            decoded_count += 1;
        }
        if part.last {
            for target in targets.drain(..) {
                let tick = match target.pick {
                    Pick::Key => first_key,
                    Pick::Shown(tick) => {
                        held.range(..=tick).next_back().or(held.first()).copied().unwrap()
                    }
                };
                found.push((target.n, tick));
            }
        }
    }
    found.sort_unstable();
    (found, decoded_count)
}

fn plan(pictures: &[Model], schedule: &mut Schedule, limit: PartLimit) -> Vec<Part<Model>> {
    let mut planner = Planner::new(limit);
    let mut parts = Vec::new();
    for picture in pictures {
        parts.extend(planner.push(picture.clone(), schedule));
    }
    parts.extend(planner.finish(schedule));
    parts
}

fn schedule(times: &[i64], precision: Precision) -> Schedule {
    let base = TimeBase::new(1, 1000).unwrap();
    let policy = FramePolicy::At(times.iter().map(|t| Timestamp::from_millis(*t)).collect());
    let clock = StreamClock { base, origin: Timestamp::ZERO };
    Schedule::new([(&policy, precision)], clock, Timestamp::ZERO, None).unwrap()
}

const WHOLE: PartLimit = PartLimit { bytes: u64::MAX, packets: usize::MAX };

proptest! {
    #[test]
    fn every_wanted_picture_is_decoded(
        groups in prop::collection::vec((1usize..12, 0usize..4), 1..8),
        open: bool,
        cut in prop_oneof![Just(usize::MAX), Just(65usize), Just(80)],
        times in prop::collection::vec(0.0f64..1.0, 0..20),
    ) {
        // Long groups, so that cuts happen.
        let groups: Vec<_> = groups.into_iter().map(|(a, b)| (if cut < usize::MAX { a * 12 } else { a }, b)).collect();
        let pictures = stream(&groups, open);
        let end = pictures.len() as f64 * 10.0;
        let mut times: Vec<i64> = times.into_iter().map(|t| (t * end) as i64).collect();
        times.sort_unstable();
        let parts = plan(&pictures, &mut schedule(&times, Precision::Exact), PartLimit { bytes: u64::MAX, packets: cut });
        let (found, _) = decode(parts);
        let expected: Vec<_> = times.iter().enumerate().map(|(n, t)| (n as u64, t / 10 * 10)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn snapping_decodes_one_picture_a_group(
        groups in prop::collection::vec((1usize..12, 0usize..4), 1..8),
        open: bool,
        times in prop::collection::vec(0.0f64..1.0, 0..20),
    ) {
        let pictures = stream(&groups, open);
        let end = pictures.len() as f64 * 10.0;
        let times: Vec<i64> = times.into_iter().map(|t| (t * end) as i64).collect();
        let keys: Vec<i64> = pictures.iter().filter(|p| p.key).map(|p| p.tick).collect();
        let before = |t: &i64| keys.iter().copied().filter(|k| k <= t).max().unwrap();
        let expected: BTreeSet<i64> = times.iter().map(before).collect();
        let (found, decoded) = decode(plan(&pictures, &mut schedule(&times, Precision::Snap), WHOLE));
        let found: Vec<i64> = found.into_iter().map(|(_, tick)| tick).collect();
        prop_assert_eq!(found, expected.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(decoded, expected.len());
    }
}

#[test]
fn a_group_is_decoded_only_as_far_as_it_is_wanted() {
    // one group: I bbP bbP bbP; the first P is shown at 30
    let pictures = stream(&[(4, 2)], false);
    let (found, decoded) = decode(plan(&pictures, &mut schedule(&[30], Precision::Exact), WHOLE));
    assert_eq!(found, [(0, 30)]);
    assert_eq!(decoded, 2);
}

#[test]
fn unwanted_groups_are_not_given_out() {
    let pictures = stream(&[(5, 1); 10], false);
    let parts = plan(&pictures, &mut schedule(&[455], Precision::Exact), WHOLE);
    assert_eq!(parts.len(), 1);
}
