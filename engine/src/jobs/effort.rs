//! What work costs: effort added up, prices, budgets, quotas.

use super::{Cost, UnixMillis};
use crate::device::parse_bytes;
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Milliseconds of a day.
const DAY: UnixMillis = 86_400_000;
/// Bytes of a file of rules that is read.
const MOST_BYTES: u64 = 1 << 20;

/// What effort is added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// What jobs were submitted with.
    Batch,
    /// Whose they are.
    Tenant,
    /// The day (UTC) on which the attempt ended, as `2026-11-21`.
    Day,
    /// What was done.
    Action,
    /// The stage; of these only the time is known ([`super::StageCost`]).
    Stage,
    /// All in one.
    All,
}

/// The effort of several attempts. Kept by the queue apart from the jobs, so that it outlives them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Effort {
    /// The batch, tenant, day or action; empty for all, and for a tenant without a name.
    pub name: String,
    /// Attempts that ended.
    pub attempts: u64,
    /// Together; the peak is the largest.
    #[serde(flatten)]
    pub cost: Cost,
}

/// Midnight (UTC) before `now`.
pub fn day_began(now: UnixMillis) -> UnixMillis {
    now.div_euclid(DAY) * DAY
}

/// What effort costs in money, how much of it may be spent, and what tenants may take: a TOML file.
///
/// ```toml
/// [prices]
/// currency = "EUR"      # only shown
/// cpu_hour = 0.04
/// gpu_hour = 2.10
/// gb_in = 0.001         # a GB (10^9 bytes) that is read, or written
/// gb_out = 0.002
///
/// [budget]
/// day = 50.0            # of a day (UTC), of a batch, or of both; nothing begins beyond it
/// batch = 20.0
/// warn = 0.8            # part of either at which a warning is given
///
/// [quota.anna]          # for the tenant `anna`; `[quota."*"]` for each that has none of its own
/// weight = 2            # of its share beside other tenants' (1)
/// waiting = 1000        # jobs
/// device_seconds = 7200 # processors' and GPUs' seconds a day
/// bytes = "50G"         # read, a day
///
/// [tenant.anna]
/// library = "libraries/anna"  # anna writes nowhere else, and nobody else writes or reads there
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// What effort costs.
    pub prices: Prices,
    /// What may be spent.
    pub budget: Budget,
    /// What each tenant may take; `*` stands for those without an entry.
    pub quota: BTreeMap<String, Quota>,
    /// What is whose.
    pub tenant: BTreeMap<String, TenantRules>,
}

/// What is a tenant's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantRules {
    /// The library that it writes to, and nobody else; relative to the file of rules.
    pub library: Option<PathBuf>,
}

/// What effort costs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// What the numbers are in; only shown.
    pub currency: String,
    /// An hour of one processor.
    pub cpu_hour: f64,
    /// An hour of one GPU.
    pub gpu_hour: f64,
    /// 10^9 bytes read.
    pub gb_in: f64,
    /// 10^9 bytes written.
    pub gb_out: f64,
}

/// What may be spent before no new work begins.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// On one day (UTC), all batches together.
    pub day: Option<f64>,
    /// On one batch.
    pub batch: Option<f64>,
    /// The part of either at which a warning is given, 0 to 1.
    pub warn: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { day: None, batch: None, warn: 0.8 }
    }
}

/// What a tenant may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// How much of the machines it gets while others want them too, beside their weights; 1 unless
    /// given, as for 0.
    pub weight: Option<u32>,
    /// Jobs that wait or run at a time.
    pub waiting: Option<u64>,
    /// Seconds of processors and GPUs a day (UTC).
    pub device_seconds: Option<u64>,
    /// Bytes read a day (UTC).
    #[serde(deserialize_with = "bytes")]
    pub bytes: Option<u64>,
}

fn bytes<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<u64>, D::Error> {
    let text = String::deserialize(from)?;
    let bytes = parse_bytes(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no number of bytes")))?;
    Ok(Some(bytes))
}

/// How money stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nothing to say.
    Good,
    /// The warning threshold is passed; what is to be told.
    Warn(String),
    /// The budget is spent; what is to be told.
    Spent(String),
}

impl Prices {
    /// What `cost` costs.
    pub fn of(&self, cost: &Cost) -> f64 {
        let hours = |ms: u64| ms as f64 / 3_600_000.0;
        hours(cost.cpu_ms) * self.cpu_hour
            + hours(cost.gpu_ms) * self.gpu_hour
            + cost.bytes_in as f64 / 1e9 * self.gb_in
            + cost.bytes_out as f64 / 1e9 * self.gb_out
    }

    /// `money` with its currency: `0.12 EUR`.
    pub fn show(&self, money: f64) -> String {
        format!("{money:.4} {}", self.currency).trim_end().to_owned()
    }
}

impl Rules {
    /// The rules in a file.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if they are not understood, a number is negative or none, or the file
    /// cannot be read; [`ErrorKind::Limit`] beyond 1 MiB.
    pub fn read(file: &Path) -> Result<Self> {
        let size = std::fs::metadata(file).map_err(|e| Error::io(Stage::Open, file, e))?.len();
        if size > MOST_BYTES {
            let what = "is more than 1 MiB of rules";
            return Err(Error::new(ErrorKind::Limit, Stage::Open, what).input(file));
        }
        let text = std::fs::read_to_string(file).map_err(|e| Error::io(Stage::Open, file, e))?;
        let mut rules = Self::parse(&text).map_err(|error| error.input(file))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        for library in rules.tenant.values_mut().filter_map(|tenant| tenant.library.as_mut()) {
            *library = folder.join(&*library);
        }
        Ok(rules)
    }

    /// The rules in `text`.
    ///
    /// # Errors
    /// As [`Rules::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String| Error::new(ErrorKind::Input, Stage::Open, what);
        let rules: Self = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let (p, b) = (&rules.prices, &rules.budget);
        let amounts = [p.cpu_hour, p.gpu_hour, p.gb_in, p.gb_out, b.warn]
            .into_iter()
            .chain(b.day)
            .chain(b.batch);
        for amount in amounts {
            if !(amount.is_finite() && amount >= 0.0) {
                return Err(wrong(format!("{amount} is no amount of money")));
            }
        }
        if b.warn > 1.0 {
            return Err(wrong("`warn` is a part of the budget, from 0 to 1".into()));
        }
        Ok(rules)
    }

    /// How money stands when `today` was spent on this day and `batch` on the batch.
    pub fn standing(&self, today: &Cost, batch: &Cost) -> Standing {
        let mut standing = Standing::Good;
        for (name, limit, cost) in
            [("day", self.budget.day, today), ("batch", self.budget.batch, batch)]
        {
            let Some(limit) = limit else { continue };
            let spent = self.prices.of(cost);
            let said = || {
                let (spent, limit) = (self.prices.show(spent), self.prices.show(limit));
                format!("{spent} of this {name}'s {limit} are spent")
            };
            if spent >= limit {
                return Standing::Spent(said());
            }
            if spent >= limit * self.budget.warn && standing == Standing::Good {
                standing = Standing::Warn(said());
            }
        }
        standing
    }

    /// The quota of `tenant`.
    pub fn quota_of(&self, tenant: &str) -> Option<&Quota> {
        self.quota.get(tenant).or_else(|| self.quota.get("*"))
    }

    /// The weights of tenants, as [`super::Can::weights`].
    pub fn weights(&self) -> BTreeMap<String, u32> {
        let weights = self.quota.iter().filter_map(|(name, q)| Some((name.clone(), q.weight?)));
        weights.collect()
    }

    /// The tenants in `today` who have taken what they may for this day, and of what.
    pub fn exhausted(&self, today: &[Effort]) -> Vec<(String, String)> {
        let mut over = Vec::new();
        for effort in today {
            let Some(quota) = self.quota_of(&effort.name) else { continue };
            let seconds = (effort.cost.cpu_ms + effort.cost.gpu_ms) / 1000;
            if let Some(most) = quota.device_seconds.filter(|most| seconds >= *most) {
                over.push((effort.name.clone(), format!("{seconds} of {most} device-seconds")));
            } else if let Some(most) = quota.bytes.filter(|most| effort.cost.bytes_in >= *most) {
                let taken = effort.cost.bytes_in;
                over.push((effort.name.clone(), format!("{taken} of {most} bytes")));
            }
        }
        over
    }

    /// Refuses `more` jobs of each tenant if too many would wait; `waiting` do already.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`], with whose quota it is.
    pub fn admit(
        &self,
        waiting: &BTreeMap<String, u64>,
        more: &BTreeMap<String, u64>,
    ) -> Result<()> {
        for (tenant, more) in more {
            let Some(most) = self.quota_of(tenant).and_then(|quota| quota.waiting) else {
                continue;
            };
            let would = waiting.get(tenant).copied().unwrap_or(0).saturating_add(*more);
            if would > most {
                let what = format!("{would} jobs of tenant `{tenant}` would wait, {most} may");
                let error = Error::new(ErrorKind::Limit, Stage::Process, what);
                return Err(error.hint("wait until some are done, or raise the quota"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[prices]\ncurrency = 'EUR'\ncpu_hour = 3.6\ngpu_hour = 36.0\ngb_in = 1.0\n\
        [budget]\nday = 10.0\nbatch = 5.0\nwarn = 0.5\n\
        [quota.anna]\nwaiting = 3\ndevice_seconds = 60\n[quota.'*']\nbytes = '1K'\n";

    fn cost(cpu_s: u64, gpu_s: u64, bytes_in: u64) -> Cost {
        Cost { cpu_ms: cpu_s * 1000, gpu_ms: gpu_s * 1000, bytes_in, ..Cost::default() }
    }

    #[test]
    fn money_follows_prices_and_budgets() {
        let rules = Rules::parse(TEXT).unwrap();
        // 1000 CPU-s are 1, 100 GPU-s are 1, 10^9 bytes are 1.
        let spent = rules.prices.of(&cost(1000, 100, 1_000_000_000));
        assert!((spent - 3.0).abs() < 1e-9);
        let stand = |day, batch| rules.standing(&cost(day, 0, 0), &cost(batch, 0, 0));
        assert_eq!(stand(4999, 2499), Standing::Good);
        assert!(matches!(stand(5000, 0), Standing::Warn(text) if text.contains("day")));
        assert!(matches!(stand(5000, 5000), Standing::Spent(text) if text.contains("batch")));
        assert!(matches!(stand(10_000, 0), Standing::Spent(_)));
        assert_eq!(
            Rules::default().standing(&cost(u64::MAX / 1000, 0, 0), &cost(1, 1, 1)),
            Standing::Good
        );
    }

    #[test]
    fn quotas_are_each_tenants_own() {
        let rules = Rules::parse(TEXT).unwrap();
        let effort = |name: &str, cost| Effort { name: name.into(), attempts: 1, cost };
        let today = [
            effort("anna", cost(30, 30, 1 << 30)),
            effort("bert", cost(99, 0, 1023)),
            effort("", cost(0, 0, 1024)),
        ];
        let over = rules.exhausted(&today);
        assert_eq!(over.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["anna", ""]);
        let count = |n: u64| BTreeMap::from([("anna".to_owned(), n)]);
        assert!(rules.admit(&count(1), &count(2)).is_ok());
        let refused = rules.admit(&count(2), &count(2)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Limit);
        assert!(rules.admit(&BTreeMap::new(), &[("bert".into(), 9)].into()).is_ok());
    }

    /// What docs/batches.md shows is understood.
    #[test]
    fn the_documented_rules_and_machine_are_read() {
        let page = include_str!("../../../docs/batches.md");
        let block = |kind: &str, has: &str| {
            let blocks = page.split("```").map(|block| block.trim_start());
            let found = blocks.filter_map(|block| block.strip_prefix(kind));
            found.into_iter().find(|block| block.contains(has)).unwrap().to_owned()
        };
        let rules = Rules::parse(&block("rules", "[prices]")).unwrap();
        assert_eq!(rules.weights(), [("anna".to_owned(), 2)].into());
        assert!(rules.tenant["anna"].library.is_some() && rules.prices.gpu_hour > 2.0);
        crate::device::Simulated::parse(&block("toml", "[[gpu]]")).unwrap();
        crate::jobs::Message::parse(&block("json", "\"version\"")).unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "[prizes]",
            "[prices]\ncpu_hour = -1.0",
            "[budget]\nwarn = 2.0",
            "[prices]\ncpu_hour = nan",
            "[quota.a]\nbytes = 'many'",
            "[budget]\nday = 'much'",
        ] {
            assert_eq!(Rules::parse(text).unwrap_err().kind(), ErrorKind::Input, "{text}");
        }
        assert_eq!(day_began(86_400_000 * 3 + 5), 86_400_000 * 3);
        assert_eq!(day_began(-1), -86_400_000);
    }
}
