//! The ledger of one device: what is promised, what lies there now, which models are resident.

use super::job::{DeviceSpec, LeaseId, Millis, ModelId, ModelNeed};

/// Amounts of everything that a device has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub memory: u64,
    pub compute: u64,
    pub decode: u64,
    pub encode: u64,
    pub disk: u64,
}

impl Amount {
    pub fn fits(&self, room: &Self) -> bool {
        self.memory <= room.memory
            && self.compute <= room.compute
            && self.decode <= room.decode
            && self.encode <= room.encode
            && self.disk <= room.disk
    }

    pub fn plus(&self, other: &Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            compute: self.compute.saturating_add(other.compute),
            decode: self.decode.saturating_add(other.decode),
            encode: self.encode.saturating_add(other.encode),
            disk: self.disk.saturating_add(other.disk),
        }
    }

    pub fn minus(&self, other: &Self) -> Self {
        Self {
            memory: self.memory.saturating_sub(other.memory),
            compute: self.compute.saturating_sub(other.compute),
            decode: self.decode.saturating_sub(other.decode),
            encode: self.encode.saturating_sub(other.encode),
            disk: self.disk.saturating_sub(other.disk),
        }
    }

    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// How a model comes to lie on a device and leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// Its room is promised; nothing was begun.
    Wanted,
    Loading,
    Ready,
    /// Its bytes are no longer counted as promised, but still lie there.
    Evicting,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    pub model: ModelId,
    pub bytes: u64,
    pub stay: Stay,
    /// Leases that use it or wait for it.
    pub users: u32,
    pub loaded: Millis,
    pub used: Millis,
}

#[derive(Clone, Debug)]
pub(super) struct Device {
    pub spec: DeviceSpec,
    pub up: bool,
    /// Gone for good; kept until its leases are over.
    pub removed: bool,
    pub foreign: u64,
    /// What is promised: leases, and models that are not leaving.
    pub promised: Amount,
    /// Bytes that may lie there now.
    pub here: u64,
    pub models: Vec<Resident>,
    /// Leases in the order in which they were granted.
    pub leases: Vec<LeaseId>,
    /// What [`State::rooms`](super::State::rooms) says of it.
    pub indexed: Option<u64>,
}

impl Device {
    pub fn new(spec: DeviceSpec) -> Self {
        Self {
            spec,
            up: true,
            removed: false,
            foreign: 0,
            promised: Amount::default(),
            here: 0,
            models: Vec::new(),
            leases: Vec::new(),
            indexed: None,
        }
    }

    pub fn is_usable(&self) -> bool {
        self.up && !self.removed
    }

    /// Bytes that may be given out.
    pub fn memory(&self) -> u64 {
        self.spec.memory.saturating_sub(self.spec.reserve).saturating_sub(self.foreign)
    }

    /// All that an empty device could give, foreign programs not counted.
    pub fn whole(spec: &DeviceSpec) -> Amount {
        Amount {
            memory: spec.memory.saturating_sub(spec.reserve),
            compute: u64::from(spec.compute),
            decode: u64::from(spec.decode),
            encode: u64::from(spec.encode),
            disk: spec.disk,
        }
    }

    /// What is not promised.
    pub fn room(&self) -> Amount {
        let mut room = Self::whole(&self.spec);
        room.memory = self.memory();
        room.minus(&self.promised)
    }

    /// The model, if it is here or on its way.
    pub fn resident(&self, model: ModelId) -> Option<&Resident> {
        self.models.iter().find(|r| r.model == model && r.stay != Stay::Evicting)
    }

    pub fn resident_mut(&mut self, model: ModelId) -> Option<&mut Resident> {
        self.models.iter_mut().find(|r| r.model == model && r.stay != Stay::Evicting)
    }

    pub fn is_leaving(&self, model: ModelId) -> bool {
        self.models.iter().any(|r| r.model == model && r.stay == Stay::Evicting)
    }

    pub fn is_loading(&self) -> bool {
        self.models.iter().any(|r| r.stay == Stay::Loading)
    }

    /// Bytes of models that nobody uses, other than `keep`, as if their stay were over.
    pub fn idle_bytes(&self, keep: Option<ModelId>) -> u64 {
        self.idle(keep).map(|r| r.bytes).sum()
    }

    fn idle(&self, keep: Option<ModelId>) -> impl Iterator<Item = &Resident> {
        self.models
            .iter()
            .filter(move |r| r.stay == Stay::Ready && r.users == 0 && Some(r.model) != keep)
    }

    /// The models to evict so that `bytes` more can be promised: the longest unused first, none that is
    /// not needed for it. `None` if that cannot be done now.
    pub fn evictions(
        &self,
        bytes: u64,
        keep: Option<ModelId>,
        now: Millis,
        stay: Millis,
    ) -> Option<Vec<ModelId>> {
        // Not by the room: where foreign programs came later, more may be promised than there is.
        let short = self.promised.memory.saturating_add(bytes).saturating_sub(self.memory());
        if short == 0 {
            return Some(Vec::new());
        }
        let mut missing = short;
        let mut idle: Vec<&Resident> =
            self.idle(keep).filter(|r| r.loaded.saturating_add(stay) <= now).collect();
        if idle.iter().map(|r| r.bytes).sum::<u64>() < missing {
            return None;
        }
        idle.sort_by_key(|r| (r.used, r.model));
        let mut chosen = Vec::new();
        for resident in idle {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(resident.bytes);
            chosen.push(resident);
        }
        // The last one may have made others needless.
        let mut spare = chosen.iter().map(|r| r.bytes).sum::<u64>().saturating_sub(short);
        chosen.retain(|resident| {
            let needless = resident.bytes <= spare;
            if needless {
                spare -= resident.bytes;
            }
            !needless
        });
        Some(chosen.into_iter().map(|r| r.model).collect())
    }

    /// Begins to evict an idle model: its bytes may be promised anew.
    pub fn evict(&mut self, model: ModelId) {
        if let Some(at) = self
            .models
            .iter()
            .position(|r| r.model == model && r.stay == Stay::Ready && r.users == 0)
        {
            self.models[at].stay = Stay::Evicting;
            self.promised.memory = self.promised.memory.saturating_sub(self.models[at].bytes);
        }
    }

    /// One more lease uses `model`; promised if it is not here.
    pub fn use_model(&mut self, model: &ModelNeed, now: Millis) {
        if let Some(resident) = self.resident_mut(model.id) {
            resident.users += 1;
            resident.used = now;
            return;
        }
        self.promised.memory = self.promised.memory.saturating_add(model.bytes);
        self.models.push(Resident {
            model: model.id,
            bytes: model.bytes,
            stay: Stay::Wanted,
            users: 1,
            loaded: now,
            used: now,
        });
    }

    /// One lease less uses `model`; forgotten if nothing was begun for it.
    pub fn leave_model(&mut self, model: ModelId, now: Millis) {
        let Some(at) =
            self.models.iter().position(|r| r.model == model && r.stay != Stay::Evicting)
        else {
            return;
        };
        let resident = &mut self.models[at];
        resident.users = resident.users.saturating_sub(1);
        resident.used = now;
        if resident.users == 0 && resident.stay == Stay::Wanted {
            self.promised.memory = self.promised.memory.saturating_sub(resident.bytes);
            self.models.remove(at);
        }
    }
}
