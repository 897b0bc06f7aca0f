//! What a film teaches: rules out of its transcript (`strategy`), how they do on prices (`backtest`), and
//! which of them hold where they were not looked at (`promotion`). Files: `strategies/rules.json`,
//! `equity/NAME.svg`, `promoted/decisions.html` and `promoted/rules.json`.

use super::taught_page::page;
use super::{internal, write};
use crate::error::{Error, Result};
use crate::library::catalogue::rows::Rows;
use crate::library::catalogue::taught::{BacktestRow, PromotionRow, StrategyRow, TaughtRows};
use crate::pipeline::Lesson;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use crate::strategy::extract::extract;
use crate::strategy::{Missing, RuleBook, Strategy, Study, Walk, promote, study};
use crate::time::Span;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn value_of(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| internal(&e))
}

/// What was stored as JSON by an earlier stage.
fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(|e| internal(&e))
}

fn folder(film: &Film<'_>, stage: &str, name: &str) -> Result<std::path::PathBuf> {
    let folder = film.staged(stage)?.join(name);
    std::fs::create_dir_all(&folder)
        .map_err(|e| Error::io(crate::error::Stage::Write, &folder, e))?;
    Ok(folder)
}

/// Rules out of the transcript.
pub(in crate::pipeline) struct Strategies<'l>(pub &'l Lesson);

impl FilmStage for Strategies<'_> {
    fn name(&self) -> &'static str {
        "strategy"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "patterns": self.0.patterns.digest() })
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["transcript"])
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Find(self.0))))
    }
}

struct Find<'l>(&'l Lesson);

impl StageWork for Find<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let segments = film.catalogue()?.segments_of(film.media()?)?;
        let name = film.input.file_name().unwrap_or_default().to_string_lossy();
        let content = film.identity.content.to_string();
        let said = segments.iter().map(|stored| &stored.row);
        let found = extract(&name, Some(&content), said, &self.0.patterns);
        let mut strategies = Vec::new();
        for strategy in &found.strategies {
            let start = strategy.moments().map(|moment| moment.span.start).min();
            let end = strategy.moments().map(|moment| moment.span.end).max();
            let span = start.zip(end).and_then(|(start, end)| Span::new(start, end));
            strategies.push(StrategyRow {
                name: strategy.name.clone(),
                span: span.ok_or_else(|| internal(&"a strategy that nobody said"))?,
                confidence: strategy.confidence,
                rules: value_of(strategy)?,
            });
        }
        let count = strategies.len();
        if count > 0 {
            let book = RuleBook::of(found.strategies);
            let json = serde_json::to_vec_pretty(&book).map_err(|e| internal(&e))?;
            write(&folder(film, "strategy", "strategies")?.join("rules.json"), &json)?;
        }
        let taught = TaughtRows { strategies, ..TaughtRows::default() };
        Ok(Finished {
            rows: Rows { taught, ..Rows::default() },
            summary: json!({ "strategies": count, "left_out": found.ignored.len() }),
            note: (count == 0).then(|| "no rules are taught".to_owned()),
            then: None,
        })
    }
}

/// The rules played through prices.
pub(in crate::pipeline) struct Backtests<'l>(pub &'l Lesson);

impl FilmStage for Backtests<'_> {
    fn name(&self) -> &'static str {
        "backtest"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        let Lesson { prices, setup, split, .. } = self.0;
        json!({ "prices": prices.digest(), "setup": setup, "split": split })
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["strategy"])
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Play(self.0))))
    }
}

struct Play<'l>(&'l Lesson);

impl StageWork for Play<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let Lesson { prices, setup, split, .. } = self.0;
        let mut backtests = Vec::new();
        let mut left_out = 0;
        for stored in film.catalogue()?.strategies_of(film.media()?)? {
            let strategy: Strategy = read(&stored.row.rules)?;
            if strategy.what_is_missing().contains(&Missing::Entry) {
                left_out += 1;
                continue;
            }
            let found: Study = study(&strategy, prices, setup, split, &film.run.cancel)?;
            let plot = folder(film, "backtest", "equity")?.join(format!("{}.svg", strategy.name));
            write(&plot, found.svg(prices, setup).as_bytes())?;
            backtests.push(BacktestRow {
                strategy: stored.id,
                prices: prices.digest().to_owned(),
                trades: found.metrics.trades as u64,
                total_return: found.metrics.total_return,
                max_drawdown: found.metrics.max_drawdown,
                sharpe: found.metrics.sharpe,
                study: value_of(&found)?,
            });
        }
        let count = backtests.len();
        let taught = TaughtRows { backtests, ..TaughtRows::default() };
        Ok(Finished {
            rows: Rows { taught, ..Rows::default() },
            summary: json!({ "backtests": count, "left_out": left_out }),
            note: (count == 0).then(|| "no rules can be tested".to_owned()),
            then: None,
        })
    }
}

/// The decision on each.
pub(in crate::pipeline) struct Promotions<'l>(pub &'l Lesson);

impl FilmStage for Promotions<'_> {
    fn name(&self) -> &'static str {
        "promotion"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "thresholds": self.0.thresholds })
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["strategy", "backtest"])
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Decide(self.0))))
    }
}

struct Decide<'l>(&'l Lesson);

impl StageWork for Decide<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let (catalogue, media) = (film.catalogue()?, film.media()?);
        let strategies = catalogue.strategies_of(media)?;
        let (mut promotions, mut promoted, mut shown) = (Vec::new(), Vec::new(), Vec::new());
        for stored in catalogue.backtests_of(media)? {
            let row = strategies.iter().find(|row| row.id == stored.row.strategy);
            let row = row.ok_or_else(|| internal(&"a backtest of no strategy"))?;
            let strategy: Strategy = read(&row.row.rules)?;
            let walk: Walk = read(&stored.row.study["walk"])?;
            let decision = promote(&strategy, &walk, &self.0.thresholds);
            promotions.push(PromotionRow {
                backtest: stored.id,
                promoted: decision.promoted,
                record: value_of(&decision)?,
            });
            if decision.promoted {
                promoted.push(strategy.clone());
            }
            shown.push((strategy, stored.row.study, decision));
        }
        let (count, passed) = (promotions.len(), promoted.len());
        if count > 0 {
            let folder = folder(film, "promotion", "promoted")?;
            let book = RuleBook::of(promoted);
            let json = serde_json::to_vec_pretty(&book).map_err(|e| internal(&e))?;
            write(&folder.join("rules.json"), &json)?;
            let title = film.input.file_name().unwrap_or_default().to_string_lossy();
            write(&folder.join("decisions.html"), page(&title, &shown).as_bytes())?;
        }
        let taught = TaughtRows { promotions, ..TaughtRows::default() };
        Ok(Finished {
            rows: Rows { taught, ..Rows::default() },
            summary: json!({ "decisions": count, "promoted": passed }),
            note: (count == 0).then(|| "there is nothing to decide".to_owned()),
            then: None,
        })
    }
}
