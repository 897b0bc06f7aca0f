//! `rushes strategy` and `rushes variants`: from files of rules, prices and results.

use crate::support::{folder, rushes_in};
use rushes_fixtures::workspace;
use std::path::Path;

const RULES: &str = r#"{"rules": 1, "strategies": [
    {"name": "rsi", "direction": {"value": "long"},
     "entry": [{"value": {"left": {"rsi": {"period": 14}}, "is": "crosses_above", "right": {"number": 35}}}],
     "exit": [{"value": {"left": {"rsi": {"period": 14}}, "is": "crosses_above", "right": {"number": 68}}}],
     "stop": {"value": {"percent": 5}}, "target": {"value": {"percent": 12}}},
    {"name": "trend", "direction": {"value": "short"},
     "entry": [{"value": {"left": {"sma": {"period": 20}}, "is": "crosses_below", "right": {"sma": {"period": 50}}}}],
     "stop": {"value": {"percent": 3}}},
    {"name": "half", "direction": {"value": "long"},
     "exit": [{"value": {"left": {"price": "close"}, "is": "above", "right": {"number": 1}}}]}]}"#;

fn prices() -> String {
    workspace().join("fixtures/prices/synthetic.csv").to_str().unwrap().to_owned()
}

fn with_rules() -> tempfile::TempDir {
    let dir = folder();
    std::fs::write(dir.path().join("rules.json"), RULES).unwrap();
    dir
}

#[test]
fn rules_are_played_plotted_and_decided_on() {
    let dir = with_rules();
    let prices = prices();
    let words =
        ["strategy", "backtest", "rules.json", "--prices", &prices, "--plot", "plots", "--trades"];
    let ran = rushes_in(dir.path(), words.into_iter().chain(["--json"])).ok();
    assert!(ran.err.contains("half says nowhere when to get in"), "{}", ran.err);
    let lines = ran.json();
    let studies: Vec<_> = lines.iter().filter(|line| line["type"] == "backtest").collect();
    assert_eq!(studies.len(), 2);
    assert_eq!(studies[0]["strategy"], "rsi");
    assert_eq!(studies[0]["walk"]["folds"].as_array().unwrap().len(), 4);
    let trades = lines.iter().filter(|line| line["type"] == "trade").count() as u64;
    let told: u64 = studies.iter().map(|one| one["metrics"]["trades"].as_u64().unwrap()).sum();
    assert_eq!(trades, told);
    for name in ["rsi", "trend"] {
        let svg = std::fs::read_to_string(dir.path().join(format!("plots/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("polyline"), "{name}");
    }
    let text = rushes_in(dir.path(), words).ok().text();
    assert!(text.contains("Sharpe") && text.contains("all unseen"), "{text}");

    let words =
        ["strategy", "promote", "rules.json", "--synthetic", "-o", "promoted.json", "--json"];
    let ran = rushes_in(dir.path(), words).ok();
    assert!(ran.err.contains("no advice"), "{}", ran.err);
    let decisions = ran.json();
    let promoted: Vec<_> = decisions.iter().filter(|d| d["promoted"] == true).collect();
    let kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("promoted.json")).unwrap()).unwrap();
    assert_eq!(kept["strategies"].as_array().unwrap().len(), promoted.len());
    assert!(decisions.iter().all(|d| d["checks"].as_array().unwrap().len() > 5));
    assert_eq!(decisions[1]["promoted"], false, "{decisions:?}");
}

#[test]
fn bad_rules_prices_and_thresholds_are_told_with_their_place() {
    let dir = with_rules();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("bad.json"), RULES.replace("\"percent\": 3", "\"percent\": 300")).unwrap();
    std::fs::write(path("bad.csv"), "date,open,high,low,close\n2026-01-05,1,1,1,NaN\n").unwrap();
    std::fs::write(path("bad.toml"), "min_trades = 1\nmin_shape = 2\n").unwrap();
    let good = prices();
    for (words, told) in [
        (vec!["backtest", "bad.json", "--synthetic"], "/strategies/1/stop/value: is above 0"),
        (vec!["backtest", "rules.json", "--prices", "bad.csv"], "bad.csv: line 2: close is NaN"),
        (vec!["backtest", "rules.json", "--prices", "none.csv"], "none.csv"),
        (vec!["backtest", "rules.json", "--synthetic", "--only", "x"], "has no strategy to test"),
        (vec!["backtest", "rules.json", "--prices", &good, "--folds", "100"], "too few"),
        (
            vec!["promote", "rules.json", "--synthetic", "--thresholds", "bad.toml"],
            "bad.toml: line 2: unknown field",
        ),
    ] {
        let ran = rushes_in(dir.path(), ["strategy"].into_iter().chain(words)).exits(1).calm();
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    rushes_in(dir.path(), ["strategy", "backtest", "rules.json"]).exits(2);
    let schema = rushes_in(dir.path(), ["strategy", "schema"]).ok().text();
    assert!(schema.contains("crosses_above"), "{schema}");
    let ran = rushes_in(dir.path(), ["strategy", "extract"]).exits(1);
    assert!(ran.err.contains("holds no library"), "{}", ran.err);
}

#[test]
fn results_are_taken_in_ranked_and_shared_out() {
    let dir = folder();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "week.csv",
        "window,variant,views,clicks,spend,revenue\n2026-01-05,a,5000,300,50,900\n\
         2026-01-05,b,5000,100,50,300\n",
    );
    write("bad.csv", "window,variant,views,clicks,spend,revenue\n2026-01-05,a,5,6,1,1\n");
    let run = |words: &[&str]| rushes_in(dir.path(), ["variants"].iter().chain(words));
    let ran = run(&["rank"]).exits(1);
    assert!(ran.err.contains("rushes variants import"), "{}", ran.err);
    let ran = run(&["import", "week.csv", "bad.csv"]).exits(1);
    assert!(ran.err.contains("bad.csv: line 2: there are more clicks than views"), "{}", ran.err);
    assert!(!dir.path().join("variants.json").exists());
    assert_eq!(run(&["import", "week.csv", "--json"]).ok().json_line()["added"], 2);
    assert_eq!(run(&["import", "week.csv", "--json"]).ok().json_line()["known"], 2);
    let ranked = run(&["rank", "--json"]).ok().json();
    assert_eq!(ranked[0]["variant"], "a");
    assert!(ranked[0]["best"].as_f64().unwrap() > 0.99, "{ranked:?}");
    let first = run(&["allocate", "--seed", "7", "--dry-run", "--json"]).ok().json();
    assert_eq!(run(&["allocate", "--seed", "7", "--json"]).ok().json(), first);
    assert!((first[0]["share"].as_f64().unwrap() - 0.7).abs() < 1e-9, "{first:?}");
    assert!(first[0]["held"].as_bool().unwrap());
    assert!(read(&dir.path().join("variants.json"))["allocations"][0]["shares"]["a"].is_number());
}

fn read(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
