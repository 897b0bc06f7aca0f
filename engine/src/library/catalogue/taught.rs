//! Rows of what is taught in a film and what came of it, in and out. Rules, studies and decisions are
//! JSON here: what is in them is the business of `strategy`.

use super::Catalogue;
use super::rows::Stored;
use super::values::{columns, span};
use crate::error::Result;
use crate::time::Span;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde_json::Value;

/// What the stages of rules give.
#[derive(Clone, Debug, Default)]
pub struct TaughtRows {
    /// Strategies, in the order in which they are said.
    pub strategies: Vec<StrategyRow>,
    /// How they did.
    pub backtests: Vec<BacktestRow>,
    /// What was decided.
    pub promotions: Vec<PromotionRow>,
}

/// A strategy that a film teaches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StrategyRow {
    /// Its name, once in a film.
    pub name: String,
    /// From the first to the last word of it.
    pub span: Span,
    /// How far what was said can be relied on, 0 to 1.
    pub confidence: f64,
    /// Its rules.
    pub rules: Value,
}

/// How a strategy did on prices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BacktestRow {
    /// The strategy's number.
    pub strategy: i64,
    /// BLAKE3 of the price file, in hexadecimal.
    pub prices: String,
    /// Trades.
    pub trades: u64,
    /// What was gained, as a share.
    pub total_return: f64,
    /// The deepest fall, as a share.
    pub max_drawdown: f64,
    /// The Sharpe ratio, a year.
    pub sharpe: Option<f64>,
    /// All figures.
    pub study: Value,
}

/// What was decided on a strategy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromotionRow {
    /// The backtest's number.
    pub backtest: i64,
    /// Whether it passed.
    pub promoted: bool,
    /// Why.
    pub record: Value,
}

/// Writes what the stage run `run` gives.
pub(super) fn write(
    db: &Connection,
    media: i64,
    run: i64,
    rows: &TaughtRows,
) -> rusqlite::Result<()> {
    for row in &rows.strategies {
        let (start, start_base) = columns(row.span.start);
        let (end, end_base) = columns(row.span.end);
        db.prepare_cached(
            "INSERT INTO strategies VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            run,
            media,
            row.name,
            start,
            start_base,
            end,
            end_base,
            row.confidence,
            row.rules.to_string()
        ])?;
    }
    for row in &rows.backtests {
        db.prepare_cached(
            "INSERT INTO backtests VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            run,
            media,
            row.strategy,
            row.prices,
            row.trades.cast_signed(),
            row.total_return,
            row.max_drawdown,
            row.sharpe,
            row.study.to_string()
        ])?;
    }
    for row in &rows.promotions {
        db.prepare_cached("INSERT INTO promotions VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?
            .execute(params![run, media, row.backtest, row.promoted, row.record.to_string()])?;
    }
    Ok(())
}

fn json(row: &Row<'_>, at: usize) -> rusqlite::Result<Value> {
    Ok(serde_json::from_str(row.get_ref(at)?.as_str()?).unwrap_or(Value::Null))
}

impl Catalogue {
    fn taught<T>(
        &self,
        sql: &str,
        media: i64,
        of: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<Stored<T>>> {
        self.read(|db| {
            db.prepare_cached(sql)?
                .query_map([media], |row| Ok(Stored { id: row.get(0)?, row: of(row)? }))?
                .collect()
        })
    }

    /// The strategies that a medium teaches.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn strategies_of(&self, media: i64) -> Result<Vec<Stored<StrategyRow>>> {
        let sql = "SELECT id, name, start_ticks, start_base, end_ticks, end_base, confidence, rules \
                   FROM strategies WHERE media_id = ?1 ORDER BY id";
        self.taught(sql, media, |row| {
            Ok(StrategyRow {
                name: row.get(1)?,
                span: span(row, 2)?,
                confidence: row.get(6)?,
                rules: json(row, 7)?,
            })
        })
    }

    /// How they did.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn backtests_of(&self, media: i64) -> Result<Vec<Stored<BacktestRow>>> {
        let sql = "SELECT id, strategy_id, prices, trades, total_return, max_drawdown, sharpe, study \
                   FROM backtests WHERE media_id = ?1 ORDER BY id";
        self.taught(sql, media, |row| {
            Ok(BacktestRow {
                strategy: row.get(1)?,
                prices: row.get(2)?,
                trades: row.get::<_, i64>(3)?.cast_unsigned(),
                total_return: row.get(4)?,
                max_drawdown: row.get(5)?,
                sharpe: row.get(6)?,
                study: json(row, 7)?,
            })
        })
    }

    /// What was decided.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn promotions_of(&self, media: i64) -> Result<Vec<Stored<PromotionRow>>> {
        let sql = "SELECT id, backtest_id, promoted, record FROM promotions \
                   WHERE media_id = ?1 ORDER BY id";
        self.taught(sql, media, |row| {
            Ok(PromotionRow { backtest: row.get(1)?, promoted: row.get(2)?, record: json(row, 3)? })
        })
    }
}
