//! Indicators and backtests against what others worked out: TA-Lib, and a second implementation of the
//! backtest in Python (`fixtures/golden/make_strategy.py`).

use super::rules::{
    BollingerBand, Comparison, Condition, Direction, MacdLine, Operand, PriceField, Told,
};
use super::{
    Costs, Metrics, Prices, Setup, Sizing, Stop, Strategy, Target, backtest, metrics, series,
};
use crate::control::Cancel;
use rushes_fixtures::workspace;
use serde_json::Value;

fn golden(name: &str) -> String {
    std::fs::read_to_string(workspace().join("fixtures/golden/strategy").join(name)).unwrap()
}

fn operand(name: &str) -> Operand {
    let macd = |line| Operand::Macd { fast: 12, slow: 26, signal: 9, line };
    let band = |band| Operand::Bollinger { period: 20, deviations: 2.0, band };
    match name {
        "sma_20" => Operand::Sma { period: 20 },
        "sma_50" => Operand::Sma { period: 50 },
        "ema_20" => Operand::Ema { period: 20 },
        "rsi_14" => Operand::Rsi { period: 14 },
        "macd" => macd(MacdLine::Macd),
        "macd_signal" => macd(MacdLine::Signal),
        "macd_histogram" => macd(MacdLine::Histogram),
        "bollinger_upper" => band(BollingerBand::Upper),
        "bollinger_middle" => band(BollingerBand::Middle),
        "bollinger_lower" => band(BollingerBand::Lower),
        "atr_14" => Operand::Atr { period: 14 },
        "volume_average_20" => Operand::VolumeAverage { period: 20 },
        "highest_20" => Operand::Highest { period: 20 },
        "lowest_20" => Operand::Lowest { period: 20 },
        "close" => Operand::Price(PriceField::Close),
        other => panic!("{other}"),
    }
}

#[test]
fn indicators_agree_with_ta_lib() {
    let prices = Prices::synthetic().unwrap();
    let text = golden("indicators.csv");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!((names.len(), rows.len()), (14, 260));
    for (column, name) in names.iter().enumerate() {
        let found = series::values(&operand(name), prices.bars());
        let mut compared = 0;
        for (i, row) in rows.iter().enumerate() {
            match row[column] {
                "" => assert!(found[i].is_nan(), "{name} at {i}: {} for nothing", found[i]),
                wanted => {
                    let wanted: f64 = wanted.parse().unwrap();
                    let off = (found[i] - wanted).abs() / wanted.abs().max(1.0);
                    assert!(off < 1e-9, "{name} at {i}: {} for {wanted}", found[i]);
                    compared += 1;
                }
            }
        }
        assert!(compared > 200, "{name}: {compared}");
    }
}

fn one(left: &str, is: Comparison, right: Operand) -> Vec<Told<Condition>> {
    vec![Told::written(Condition { left: operand(left), is, right })]
}

/// The cases of the script, written in the engine's language.
fn case(name: &str) -> (Strategy, Setup) {
    let (direction, entry, exit, stop, target, sizing, costs) = match name {
        "rsi" => (
            Direction::Long,
            one("rsi_14", Comparison::CrossesAbove, Operand::Number(35.0)),
            one("rsi_14", Comparison::CrossesAbove, Operand::Number(68.0)),
            Some(Stop::Percent(5.0)),
            Some(Target::Percent(12.0)),
            Sizing::Fraction(1.0),
            Costs { commission_bps: 10.0, fixed: 0.0, slippage_bps: 5.0 },
        ),
        "averages-short" => (
            Direction::Short,
            one("sma_20", Comparison::CrossesBelow, operand("sma_50")),
            one("sma_20", Comparison::CrossesAbove, operand("sma_50")),
            Some(Stop::Atr { period: 14, times: 2.0 }),
            Some(Target::Reward(2.0)),
            Sizing::Risk(0.01),
            Costs { commission_bps: 5.0, fixed: 1.0, slippage_bps: 10.0 },
        ),
        _ => (
            Direction::Long,
            one("close", Comparison::CrossesBelow, operand("bollinger_lower")),
            one("close", Comparison::Above, operand("bollinger_middle")),
            None,
            None,
            Sizing::Fraction(0.5),
            Costs { commission_bps: 0.0, fixed: 0.0, slippage_bps: 0.0 },
        ),
    };
    let strategy = Strategy {
        name: name.to_owned(),
        direction: Told::written(direction),
        timeframe: None,
        entry,
        exit,
        stop: stop.map(Told::written),
        target: target.map(Told::written),
        confidence: 1.0,
        missing: Vec::new(),
    };
    (strategy, Setup { capital: 10_000.0, costs, sizing })
}

fn near(what: &str, found: Option<f64>, wanted: &Value) {
    let wanted = wanted.as_f64();
    let same = match (found, wanted) {
        (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-8 * wanted.abs().max(1.0),
        (found, wanted) => found == wanted,
    };
    assert!(same, "{what}: {found:?} for {wanted:?}");
}

#[test]
fn backtests_agree_with_a_second_implementation() {
    let prices = Prices::synthetic().unwrap();
    let told: Vec<Value> = serde_json::from_str(&golden("backtests.json")).unwrap();
    assert_eq!(told.len(), 6);
    for wanted in told {
        let name = wanted["case"].as_str().unwrap();
        let (strategy, setup) = case(name);
        let number = |key: &str| wanted[key].as_u64().unwrap() as usize;
        let range = number("from")..number("to");
        let done = backtest(&strategy, &prices, range, &setup, &Cancel::new()).unwrap();
        let trades = wanted["trades"].as_array().unwrap();
        assert_eq!(done.trades.len(), trades.len(), "{name}");
        for (found, wanted) in done.trades.iter().zip(trades) {
            let bars = |key: &str| wanted[key].as_u64().unwrap() as usize;
            assert_eq!((found.entered, found.left), (bars("entered"), bars("left")), "{name}");
            assert_eq!(serde_json::to_value(found.why).unwrap(), wanted["why"], "{name}");
            near(name, Some(found.gain), &wanted["gain"]);
        }
        near(name, done.equity.last().copied(), &wanted["equity_end"]);
        let Metrics {
            total_return,
            cagr,
            volatility,
            sharpe,
            sortino,
            max_drawdown,
            win_rate,
            profit_factor,
            exposure,
            trades,
        } = metrics(&done, &prices, &setup);
        for (key, found) in [
            ("total_return", Some(total_return)),
            ("cagr", cagr),
            ("volatility", volatility),
            ("sharpe", sharpe),
            ("sortino", sortino),
            ("max_drawdown", Some(max_drawdown)),
            ("win_rate", win_rate),
            ("profit_factor", profit_factor),
            ("exposure", Some(exposure)),
            ("trades", Some(trades as f64)),
        ] {
            near(&format!("{name} {key}"), found, &wanted["metrics"][key]);
        }
    }
}
