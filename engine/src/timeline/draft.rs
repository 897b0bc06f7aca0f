//! What can be read of a spec in spite of its faults, so that whatever else is wrong with it (in its
//! meaning, with its files, on the clock, in its texts) is told together with them.
//!
//! What cannot be read is cut out of the tree, and the rest is read again. Where that makes
//! something else look wrong, nothing is said: only what stands there counts.

use super::fault::Faults;
use super::reader::{Node, Spec};
use super::spec::Timeline;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of cutting and reading: each cut may take what held it along, and specs are not deep.
const ROUNDS: usize = 12;

/// An edit that may have faults.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What could be read of it; nothing where even that has no shape.
    timeline: Option<Timeline>,
    faults: Faults,
    cuts: Cuts,
}

impl From<Timeline> for Draft {
    /// An edit without faults, as far as it is known.
    fn from(timeline: Timeline) -> Self {
        Self { timeline: Some(timeline), faults: Faults::default(), cuts: Cuts::default() }
    }
}

impl Draft {
    /// Reads `tree`, in which `faults` were found already, and where there is nothing to read at
    /// the pointers `void`.
    pub(super) fn read(mut tree: Value, faults: Faults, void: Vec<String>) -> Self {
        let mut made = Self { timeline: None, faults, cuts: Cuts::default() };
        let mut found = void;
        found.extend(made.faults.0.iter().map(|fault| fault.pointer.clone()));
        // Those are out of the tree already.
        found.retain(|pointer| {
            !["/variables", "/matrix"].iter().any(|gone| pointer.starts_with(gone))
        });
        for round in 0..ROUNDS {
            if !found.is_empty() && !made.cuts.cut(&mut tree, found) {
                return made;
            }
            let faults = RefCell::new(Faults::default());
            let node = Node { value: &tree, pointer: String::new(), faults: &faults };
            let timeline = Timeline::read(node);
            let faults = faults.into_inner();
            found = faults.0.iter().map(|fault| fault.pointer.clone()).collect();
            if round == 0 {
                made.add(faults);
            }
            if found.is_empty() {
                made.timeline = timeline;
                break;
            }
        }
        if let Some(timeline) = &made.timeline {
            let mut faults = Faults::default();
            timeline.check(&mut faults);
            made.add(faults);
        }
        made
    }

    /// What could be read of it.
    pub fn timeline(&self) -> Option<&Timeline> {
        self.timeline.as_ref()
    }

    /// Everything that is known to be wrong with it.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The edit, if nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that is.
    pub fn whole(self) -> Result<Timeline, Faults> {
        self.faults.or(self.timeline)
    }

    /// Changes what could be read, as if the spec had said so.
    pub fn map(mut self, change: impl FnOnce(Timeline) -> Timeline) -> Self {
        self.timeline = self.timeline.map(change);
        self
    }

    /// Adds faults found in what could be read: told by their places in the spec as it was written,
    /// and left out where they only come of what was cut.
    pub fn add(&mut self, faults: Faults) {
        self.add_unless(faults, |_, _| false);
    }

    /// As [`Self::add`], for faults found on the clock: where an item stands is known only as long
    /// as nothing was cut from those before it.
    pub fn add_laid(&mut self, faults: Faults) {
        self.add_unless(faults, moved);
    }

    fn add_unless(&mut self, faults: Faults, moved: impl Fn(&str, &str) -> bool) {
        for fault in faults.0 {
            let pointer = self.cuts.original(&fault.pointer);
            let moved = self.cuts.all.iter().any(|cut| moved(&pointer, cut));
            if !moved && !self.cuts.explain(&pointer) {
                self.faults.add(pointer, fault.message);
            }
        }
    }

    /// Whether the canvas is the one that was written: whether a text fits depends on it.
    pub fn has_canvas(&self) -> bool {
        !self.cuts.all.iter().any(|cut| cut.is_empty() || cut.starts_with("/canvas"))
    }
}

/// What was cut out of a tree.
#[derive(Clone, Debug, Default)]
struct Cuts {
    /// Pointers into the tree as it was.
    all: BTreeSet<String>,
    /// The entries that lists lost, by the lists' pointers.
    entries: BTreeMap<String, BTreeSet<usize>>,
}

impl Cuts {
    /// The pointer into the tree as it was of one into the tree as it is.
    fn original(&self, pointer: &str) -> String {
        let mut made = String::new();
        for step in pointer.split('/').skip(1) {
            let gone = self.entries.get(&made);
            let number = gone.zip(step.parse::<usize>().ok()).map(|(gone, number)| {
                gone.iter().fold(number, |number, gone| number + usize::from(*gone <= number))
            });
            made.push('/');
            match number {
                Some(number) => made += &number.to_string(),
                None => made += step,
            }
        }
        made
    }

    /// Cuts what stands at `pointers`; false where that cannot be done.
    fn cut(&mut self, tree: &mut Value, mut pointers: Vec<String>) -> bool {
        // From behind, so that no cut moves what is still to be cut; and each only once.
        pointers.sort_by(|a, b| in_order(b, a));
        pointers.dedup();
        let before = self.clone();
        pointers.iter().all(|pointer| self.cut_one(tree, pointer, &before))
    }

    fn cut_one(&mut self, tree: &mut Value, pointer: &str, before: &Self) -> bool {
        let original = before.original(pointer);
        self.all.insert(original.clone());
        // What must be there is made up.
        let stand_in = match pointer {
            "" | "/canvas" => {
                let Some(fields) = tree.as_object_mut() else { return false };
                let missing = pointer.is_empty() && fields.contains_key("canvas");
                if missing && fields.contains_key("rushes") {
                    return false;
                }
                fields.entry("rushes").or_insert(json!(1));
                if !missing {
                    self.all.insert("/canvas".into());
                    fields.insert("canvas".into(), json!({ "size": "1920x1080", "rate": 25 }));
                }
                return true;
            }
            "/rushes" => Some(json!(1)),
            "/canvas/size" => Some(json!("1920x1080")),
            "/canvas/rate" => Some(json!(25)),
            // Items may go on using its name.
            _ if is_asset(pointer) => Some(json!({ "file": "." })),
            _ => None,
        };
        if let Some(value) = stand_in {
            return tree.pointer_mut(pointer).map(|place| *place = value).is_some();
        }
        let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
        match tree.pointer_mut(parent) {
            Some(Value::Object(fields)) => {
                fields.remove(&last.replace("~1", "/").replace("~0", "~"));
            }
            Some(Value::Array(list)) => {
                let Some(at) = last.parse().ok().filter(|at| *at < list.len()) else {
                    return false;
                };
                list.remove(at);
                let (list, entry) = original.rsplit_once('/').unwrap_or_default();
                if let Ok(entry) = entry.parse() {
                    self.entries.entry(list.to_owned()).or_default().insert(entry);
                }
            }
            // It went with what held it.
            _ => {}
        }
        true
    }

    /// Whether a fault at `pointer` only comes of a cut.
    fn explain(&self, pointer: &str) -> bool {
        let within = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.all.iter().any(|cut| {
            // The whole spec is not wrong because the canvas is.
            let around = !cut.is_empty() && within(cut, pointer);
            around || within(pointer, cut)
        })
    }
}

/// Whether `pointer` is about where an item stands, and `cut` took something from an item before it.
fn moved(pointer: &str, cut: &str) -> bool {
    let item = |pointer: &str| {
        let mut steps = pointer.split('/').skip(1);
        let track = (steps.next()?.to_owned(), steps.next()?.to_owned());
        let items = steps.next()? == "items";
        let number = steps.next()?.parse::<usize>().ok()?;
        items.then(|| (track, number, steps.collect::<Vec<_>>().join("/")))
    };
    let (Some((track, number, rest)), Some((other, before, _))) = (item(pointer), item(cut)) else {
        return false;
    };
    track == other && before <= number && matches!(rest.as_str(), "" | "enter/length" | "exit")
}

fn is_asset(pointer: &str) -> bool {
    pointer.strip_prefix("/assets/").is_some_and(|name| !name.contains('/'))
}

/// The order of two places: entries of lists by their numbers.
fn in_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<usize>(), b.parse::<usize>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Template, Values};
    use super::*;
    use proptest::prelude::*;

    fn pointers(text: &str) -> Vec<String> {
        let draft = Template::sketch(text).unwrap().draft(&Values::new());
        draft.faults().0.iter().map(|fault| fault.pointer.clone()).collect()
    }

    #[test]
    fn shape_and_meaning_are_told_together() {
        let found = pointers(
            "{ rushes: 1, canvas: { size: '320x181', rate: 25, colour: 'red' }, what: 3,
               assets: { a: { file: 'a.mp4' }, b: { flie: 'b.mp4' }, c: {} },
               video: [{ items: [
                 { asset: 'nobody', from: 3 },
                 7,
                 { asset: 'a', speed: 1000, freeze: true },
                 { asset: 'b', from: '-1s' },
                 { colour: 'red', length: '1s' },
                 { asset: 'a', to: '1s', length: '1s', crop: { left: 2 } },
               ] }],
               sound: { loudness: 4 } }",
        );
        let item = |rest: &str| format!("/video/0/items/{rest}");
        let wanted = [
            "/canvas/size".into(),
            "/canvas/colour".into(),
            "/assets/b/flie".into(),
            item("0/from"),
            item("1"),
            item("4/colour"),
            "/what".into(),
            "/assets/c".into(),
            "/sound/loudness".into(),
            item("0/asset"),
            item("2"),
            item("2/speed"),
            item("3/from"),
            item("5"),
            item("5/crop/left"),
            // Nothing is left of it.
            item("5/crop"),
        ];
        let sorted = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        let missing: Vec<_> = sorted(&wanted).difference(&sorted(&found)).cloned().collect();
        let extra: Vec<_> = sorted(&found).difference(&sorted(&wanted)).cloned().collect();
        assert!(missing.is_empty() && extra.is_empty(), "missing {missing:?}, extra {extra:?}");
    }

    #[test]
    fn variables_are_told_along() {
        let found = pointers(
            "{ rushes: 1, variables: { n: { type: 'time', default: 3 }, m: { type: 'time' } },
               canvas: { size: '320x180', rate: 25 }, assets: { a: { file: 'a.mp4' } },
               video: [{ items: [{ asset: 'a', from: { $var: 'm' }, fit: 'no' },
                                 { asset: 'z', from: { $var: 'gone' } }] }] }",
        );
        for wanted in [
            "/variables/n/default",
            "/variables/m",
            "/video/0/items/0/fit",
            "/video/0/items/1/from",
            "/video/0/items/1/asset",
        ] {
            assert!(found.iter().any(|pointer| pointer == wanted), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn without_any_shape_only_that_is_told() {
        assert_eq!(pointers("{ rushes: 1 }"), ["", "/video"]);
        assert_eq!(pointers("{ rushes: 1, canvas: 3, video: [] }"), ["/canvas", "/video"]);
        assert!(Template::sketch("[1]").is_err());
    }

    proptest! {
        /// Whatever is made of a good spec: no panic, and faults if and only if there is no edit.
        #[test]
        fn any_damage_is_told(at in 0usize..14, value in 0usize..6) {
            let spots = [
                "/rushes", "/canvas", "/canvas/size", "/canvas/rate", "/assets", "/assets/a",
                "/video", "/video/0", "/video/0/items", "/video/0/items/0", "/video/0/items/1",
                "/video/0/items/0/from", "/video/0/items/1/enter", "/video/0/items/1/enter/length",
            ];
            let values = [json!(null), json!(3.5), json!("x"), json!([]), json!({}), json!(true)];
            let mut tree = json!({
                "rushes": 1, "canvas": { "size": "320x180", "rate": 25 },
                "assets": { "a": { "file": "a.mp4" } },
                "video": [{ "items": [
                    { "asset": "a", "from": "1s", "to": "2s" },
                    { "asset": "a", "enter": { "kind": "dissolve", "length": "1s" }, "to": "3s" },
                ] }],
            });
            *tree.pointer_mut(spots[at]).unwrap() = values[value].clone();
            let template = Template::sketch(&tree.to_string()).unwrap();
            let draft = template.draft(&Values::new());
            let told = draft.faults().0.len();
            prop_assert_eq!(draft.whole().is_ok(), told == 0);
        }
    }
}
