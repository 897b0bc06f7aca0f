//! Which GPUs a process may use: the rules of `CUDA_VISIBLE_DEVICES`.

use super::{Fact, Gpu, Mig};

/// A parsed list of visible GPUs. The library reads no environment: who calls passes the text in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Visible {
    /// No list: all of them.
    #[default]
    All,
    /// These, by index or by the beginning of their id; an empty list means none.
    Only(Vec<String>),
}

impl Visible {
    /// By the value of `CUDA_VISIBLE_DEVICES`, or `None` where it is not set.
    pub fn of(variable: Option<&str>) -> Self {
        match variable {
            None => Self::All,
            Some(list) => {
                let words = list.split(',').map(|word| word.trim().to_owned());
                Self::Only(words.collect())
            }
        }
    }

    /// The GPUs that may be used, in the list's order, and what is odd about the list. As in CUDA,
    /// the first entry that names no GPU ends the list, and one that is named twice spoils all of it.
    pub(super) fn choose(&self, gpus: Vec<Gpu>) -> (Vec<Gpu>, Vec<Fact>) {
        let Self::Only(words) = self else { return (gpus, Vec::new()) };
        let mut facts = Vec::new();
        let mut chosen: Vec<usize> = Vec::new();
        for word in words {
            let Some(found) = find(&gpus, word) else {
                let at_end = chosen.is_empty() && words.len() == 1;
                if !(at_end && (word.is_empty() || word == "-1" || word == "NoDevFiles")) {
                    facts.push(Fact::new(
                        "visible-ends",
                        format!("CUDA_VISIBLE_DEVICES: `{word}` names no GPU; the list ends there"),
                    ));
                }
                break;
            };
            if chosen.contains(&found) {
                facts.push(Fact::new(
                    "visible-twice",
                    format!("CUDA_VISIBLE_DEVICES: `{word}` is named twice, so CUDA shows no GPU"),
                ));
                chosen.clear();
                break;
            }
            chosen.push(found);
        }
        let by_index = words.iter().any(|word| word.parse::<u32>().is_ok());
        if by_index && gpus.iter().any(|gpu| gpu.name != gpus[0].name) {
            facts.push(Fact::new(
                "visible-order",
                "GPUs of different kinds are numbered by bus address here, but by speed in CUDA; \
                 set CUDA_DEVICE_ORDER=PCI_BUS_ID or list ids",
            ));
        }
        let hidden = gpus.iter().filter(|gpu| gpu.mig != Mig::Divided).count() - chosen.len();
        if hidden > 0 {
            facts.push(Fact::new(
                "hidden",
                format!("{hidden} GPUs are hidden by CUDA_VISIBLE_DEVICES"),
            ));
        }
        let mut gpus: Vec<Option<Gpu>> = gpus.into_iter().map(Some).collect();
        (chosen.into_iter().filter_map(|at| gpus[at].take()).collect(), facts)
    }
}

/// The one GPU that `word` names: by its number, or by the beginning of its id if no other shares it.
fn find(gpus: &[Gpu], word: &str) -> Option<usize> {
    let usable = |gpu: &Gpu| gpu.mig != Mig::Divided;
    if let Ok(index) = word.parse::<u32>() {
        return gpus.iter().position(|g| g.index == index && usable(g) && g.mig == Mig::No);
    }
    if word.is_empty() {
        return None;
    }
    let mut found = gpus.iter().enumerate().filter(|(_, g)| usable(g) && g.id.starts_with(word));
    let first = found.next()?;
    found.next().is_none().then_some(first.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Coders, GpuMemory, Health};

    fn gpu(index: u32, id: &str, mig: Mig) -> Gpu {
        Gpu {
            id: id.into(),
            index,
            name: "A10".into(),
            memory: GpuMemory::default(),
            compute: Some((8, 6)),
            coders: Coders::default(),
            mig,
            busy_percent: None,
            temperature: None,
            power: None,
            energy: None,
            health: Health::Good,
            speed: 1.0,
        }
    }

    fn chosen(list: Option<&str>) -> (Vec<String>, Vec<&'static str>) {
        let gpus = vec![
            gpu(0, "GPU-aa1", Mig::No),
            gpu(1, "GPU-ab2", Mig::No),
            gpu(2, "GPU-cc3", Mig::Divided),
            gpu(2, "MIG-dd4", Mig::PartOf("GPU-cc3".into())),
        ];
        let (gpus, facts) = Visible::of(list).choose(gpus);
        (gpus.into_iter().map(|g| g.id).collect(), facts.iter().map(|f| f.code).collect())
    }

    #[test]
    fn the_list_is_read_as_cuda_reads_it() {
        assert_eq!(chosen(None).0.len(), 4);
        assert_eq!(chosen(Some("1,0")), (vec!["GPU-ab2".into(), "GPU-aa1".into()], vec!["hidden"]));
        assert_eq!(chosen(Some("GPU-aa")).0, ["GPU-aa1"]);
        assert_eq!(chosen(Some("MIG-dd4")).0, ["MIG-dd4"]);
        for none in ["", "-1", "NoDevFiles"] {
            assert_eq!(chosen(Some(none)), (vec![], vec!["hidden"]), "{none}");
        }
        // The end of the list, two that share a beginning, a divided GPU, one named twice.
        assert_eq!(chosen(Some("0,7,1")), (vec!["GPU-aa1".into()], vec!["visible-ends", "hidden"]));
        assert_eq!(chosen(Some("GPU-a")), (vec![], vec!["visible-ends", "hidden"]));
        assert_eq!(chosen(Some("2")), (vec![], vec!["visible-ends", "hidden"]));
        assert_eq!(chosen(Some("0,0")), (vec![], vec!["visible-twice", "hidden"]));
    }
}
