//! `rushes strategy`: rules out of what is said, tested on prices, promoted where they hold.

use super::Session;
use super::search::films;
use crate::output::{Status, say};
use clap::{Args, Subcommand};
use rushes::Error;
use rushes::library::{Catalogue, Library, StagedFile};
use rushes::strategy::extract::{Patterns, extract};
use rushes::strategy::{
    Costs, Metrics, PriceRules, Prices, Promotion, RuleBook, Setup, Sizing, Strategy, Study,
    Thresholds, WARNING, WalkSplit, promote, study, testable,
};
use rushes::text::plain;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct StrategyArgs {
    #[command(subcommand)]
    pub action: StrategyAction,
}

#[derive(Subcommand, Debug)]
pub enum StrategyAction {
    /// Find trading rules in what is said in a library's films
    #[command(
        after_help = "Examples:\n  rushes strategy extract lesson -o rules.json\n  rushes strategy extract --library talks --json\n\nEach rule names the moment that says it. Edit the file as you like; docs/strategy.md explains it."
    )]
    Extract(ExtractArgs),
    /// Play rules through prices: figures, what holding gives, and a walk forward
    #[command(
        after_help = "Examples:\n  rushes strategy backtest rules.json --prices ohlcv.csv --plot plots\n  rushes strategy backtest rules.json --prices ohlcv.csv --risk 0.01 --commission 10 --json\n\nPrices are CSV with the columns date, open, high, low, close and volume, oldest first."
    )]
    Backtest(BacktestArgs),
    /// Decide which rules hold on prices they were not looked at with, and say why
    #[command(
        after_help = "Examples:\n  rushes strategy promote rules.json --prices ohlcv.csv -o promoted.json\n  rushes strategy promote rules.json --prices ohlcv.csv --thresholds strict.toml --json\n\nThis is research into what was said. It is no advice."
    )]
    Promote(PromoteArgs),
    /// Print the JSON schema of rules
    #[command(
        after_help = "Examples:\n  rushes strategy schema\n  rushes strategy schema > rules.schema.json"
    )]
    Schema,
}

#[derive(Args, Debug)]
pub struct ExtractArgs {
    /// Films of the library: parts of their names [default: all]
    pub films: Vec<String>,
    /// The library
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "rules.json")]
    pub output: PathBuf,
    /// How rules are said (TOML) [default: patterns for English that come along]
    #[arg(long, value_name = "FILE")]
    pub patterns: Option<PathBuf>,
}

/// What rules are played through, and how.
#[derive(Args, Debug)]
pub struct Play {
    /// The rules
    pub rules: PathBuf,
    /// Prices (CSV)
    #[arg(long, value_name = "FILE", required_unless_present = "synthetic")]
    pub prices: Option<PathBuf>,
    /// Take the made-up prices that come along
    #[arg(long, conflicts_with = "prices")]
    pub synthetic: bool,
    /// Only this strategy
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// How long prices may have a gap, in days [default: 7, or seven usual steps]
    #[arg(long, value_name = "DAYS")]
    pub max_gap: Option<u16>,
    /// What is owned at the beginning
    #[arg(long, default_value = "10000", value_name = "MONEY")]
    pub capital: f64,
    /// Commission on an order's value, in basis points
    #[arg(long, default_value = "5", value_name = "BPS")]
    pub commission: f64,
    /// What each order costs besides
    #[arg(long, default_value = "0", value_name = "MONEY")]
    pub fixed: f64,
    /// How much worse than seen a price is paid, in basis points
    #[arg(long, default_value = "5", value_name = "BPS")]
    pub slippage: f64,
    /// The share of what is owned that is bet
    #[arg(long, default_value = "1", value_name = "SHARE")]
    pub size: f64,
    /// Bet so much that a stop costs this share of what is owned
    #[arg(long, value_name = "SHARE", conflicts_with = "size")]
    pub risk: Option<f64>,
    /// Stretches of the walk forward
    #[arg(long, default_value = "4", value_name = "N")]
    pub folds: u32,
    /// The share of a stretch that is looked at first
    #[arg(long, default_value = "0.6", value_name = "SHARE")]
    pub in_sample: f64,
}

#[derive(Args, Debug)]
pub struct BacktestArgs {
    #[command(flatten)]
    pub play: Play,
    /// Folder for a plot of each strategy (SVG)
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
    /// Tell every trade
    #[arg(long)]
    pub trades: bool,
}

#[derive(Args, Debug)]
pub struct PromoteArgs {
    #[command(flatten)]
    pub play: Play,
    /// What must be shown (TOML) [default: the thresholds that come along]
    #[arg(long, value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// Write the rules that are promoted here
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

pub fn run(session: &Session, args: &StrategyArgs) -> anyhow::Result<Status> {
    let done = match &args.action {
        StrategyAction::Extract(args) => extract_rules(session, args),
        StrategyAction::Backtest(args) => backtest(session, args),
        StrategyAction::Promote(args) => decide(session, args),
        StrategyAction::Schema => {
            let schema = RuleBook::schema();
            session.output.data(&serde_json::to_string_pretty(&schema)?, &schema)
        }
    };
    match done.map_err(anyhow::Error::downcast::<Error>) {
        Ok(()) => Ok(Status::Ok),
        Err(Ok(error)) => {
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
        Err(Err(other)) => Err(other),
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

fn extract_rules(session: &Session, args: &ExtractArgs) -> anyhow::Result<()> {
    let library = Library::at(&args.library);
    let catalogue = library.existing()?;
    let patterns = match &args.patterns {
        Some(file) => Patterns::read(file)?,
        None => Patterns::bundled()?,
    };
    let mut strategies: Vec<Strategy> = Vec::new();
    for media in chosen(&catalogue, &args.films)? {
        session.run.cancel.check(rushes::error::Stage::Strategy)?;
        let Some(row) = catalogue.by_id(media)? else { continue };
        let segments = catalogue.segments_of(media)?;
        let content = row.content.to_string();
        let said = segments.iter().map(|stored| &stored.row);
        let mut found = extract(&row.name, Some(&content), said, &patterns);
        if segments.is_empty() && !session.output.quiet {
            say(&format!("{}: there is no transcript", plain(&row.name)));
        }
        for ignored in &found.ignored {
            let text = format!("left out: \"{}\" ({})", ignored.said.text, ignored.why);
            match session.output.json {
                true => session.output.data("", &Line { r#type: "left_out", value: ignored })?,
                false if !session.output.quiet => say(&plain(&text)),
                false => {}
            }
        }
        for mut strategy in found.strategies.drain(..) {
            strategy.name = free_name(&strategies, &strategy.name);
            let text = told(&strategy);
            session.output.data(&text, &Line { r#type: "strategy", value: &strategy })?;
            strategies.push(strategy);
        }
    }
    let count = strategies.len();
    write(&args.output, &RuleBook::of(strategies))?;
    if !session.output.quiet {
        let output = args.output.to_string_lossy();
        say(&format!("{}: {count} strategies", plain(&output)));
    }
    Ok(())
}

fn chosen(catalogue: &Catalogue, names: &[String]) -> anyhow::Result<Vec<i64>> {
    if names.is_empty() {
        return Ok(catalogue.all_media()?.into_iter().map(|media| media.id).collect());
    }
    let mut all = Vec::new();
    for name in names {
        for media in films(catalogue, name)? {
            if !all.contains(&media) {
                all.push(media);
            }
        }
    }
    Ok(all)
}

/// Two films may teach the same.
fn free_name(taken: &[Strategy], name: &str) -> String {
    let free = |name: &str| taken.iter().all(|other| other.name != name);
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| free(name)).unwrap_or_default()
}

/// A strategy for people, each part with the moment that says it.
fn told(strategy: &Strategy) -> String {
    let side = match strategy.direction.value {
        rushes::strategy::Direction::Long => "long",
        rushes::strategy::Direction::Short => "short",
    };
    let mut lines =
        vec![format!("{}  ({side}, confidence {:.2})", strategy.name, strategy.confidence)];
    let mut line = |what: &str, value: String, said: Option<&rushes::strategy::Moment>| {
        let said = said.map_or(String::new(), |said| {
            format!("  {} {:.1} s \"{}\"", said.film, said.span.start.as_secs_f64(), said.text)
        });
        lines.push(format!("  {what:9} {value:40}{said}"));
    };
    for told in &strategy.entry {
        line("in when", told.value.to_string(), told.said.as_ref());
    }
    for told in &strategy.exit {
        line("out when", told.value.to_string(), told.said.as_ref());
    }
    if let Some(told) = &strategy.stop {
        line("stop", told.value.to_string(), told.said.as_ref());
    }
    if let Some(told) = &strategy.target {
        line("target", told.value.to_string(), told.said.as_ref());
    }
    if !strategy.missing.is_empty() {
        lines.push(format!("  not said: {}", names(&strategy.missing)));
    }
    lines.iter().map(|line| plain(line).into_owned()).collect::<Vec<_>>().join("\n")
}

fn names(all: &impl Serialize) -> String {
    let all = serde_json::to_value(all).unwrap_or_default();
    let names = all.as_array().into_iter().flatten().filter_map(|name| name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

fn write(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut file = StagedFile::new(path)?;
    file.write(serde_json::to_string_pretty(value)?.as_bytes())?;
    file.write(b"\n")?;
    Ok(file.publish()?)
}

impl Play {
    fn setup(&self) -> Setup {
        let sizing = self.risk.map_or(Sizing::Fraction(self.size), Sizing::Risk);
        let costs = Costs {
            commission_bps: self.commission,
            fixed: self.fixed,
            slippage_bps: self.slippage,
        };
        Setup { capital: self.capital, costs, sizing }
    }

    fn prices(&self) -> Result<Prices, Error> {
        let most_gap_ms = self.max_gap.map(|days| i64::from(days) * 86_400_000);
        match &self.prices {
            Some(file) => Prices::read(file, PriceRules { most_gap_ms }),
            None => Prices::synthetic(),
        }
    }

    /// Plays each strategy that can be played.
    fn each(
        &self,
        session: &Session,
        mut then: impl FnMut(&Strategy, &Prices, Study) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let book = RuleBook::read(&self.rules)?;
        let prices = self.prices()?;
        let split = WalkSplit { folds: self.folds, in_sample: self.in_sample };
        let (whole, rest) = testable(&book);
        for name in rest.iter().filter(|_| !session.output.quiet) {
            say(&format!("{name} says nowhere when to get in: left out"));
        }
        let wanted =
            |strategy: &&&Strategy| self.only.as_ref().is_none_or(|only| *only == strategy.name);
        let chosen: Vec<_> = whole.iter().filter(wanted).collect();
        if chosen.is_empty() {
            let what = "has no strategy to test";
            let error = Error::new(rushes::ErrorKind::Input, rushes::error::Stage::Strategy, what);
            return Err(error.input(&self.rules).into());
        }
        for strategy in chosen {
            let found = study(strategy, &prices, &self.setup(), &split, &session.run.cancel)?;
            for note in found.notes.iter().filter(|_| !session.output.quiet) {
                say(&format!("{}: {note}", strategy.name));
            }
            then(strategy, &prices, found)?;
        }
        Ok(())
    }
}

fn backtest(session: &Session, args: &BacktestArgs) -> anyhow::Result<()> {
    args.play.each(session, |strategy, prices, found| {
        let mut lines = vec![strategy.name.clone(), HEAD.to_owned()];
        lines.push(figures("all prices", &found.metrics));
        lines.push(figures("holding", &found.hold));
        for (n, fold) in found.walk.folds.iter().enumerate() {
            lines.push(figures(&format!("unseen {}", n + 1), &fold.out_of_sample));
        }
        lines.push(figures("all seen", &found.walk.in_sample));
        lines.push(figures("all unseen", &found.walk.out_of_sample));
        lines.push(figures("holding there", &found.walk.hold));
        session.output.data(&lines.join("\n"), &Line { r#type: "backtest", value: &found })?;
        if args.trades {
            for trade in &found.backtest.trades {
                let text = format!(
                    "  bar {:5} at {:.4} to bar {:5} at {:.4}  {:+.2}",
                    trade.entered, trade.entry, trade.left, trade.exit, trade.gain
                );
                session.output.data(&text, &Line { r#type: "trade", value: trade })?;
            }
        }
        if let Some(folder) = &args.plot {
            let mut file = StagedFile::new(&folder.join(format!("{}.svg", strategy.name)))?;
            file.write(found.svg(prices, &args.play.setup()).as_bytes())?;
            file.publish()?;
        }
        Ok(())
    })
}

const HEAD: &str = "                 return    a year     vol.  Sharpe  Sortino  drawdown  wins  \
                    profit  held  trades";

/// A line of figures.
fn figures(what: &str, of: &Metrics) -> String {
    let share = |value: Option<f64>| match value {
        Some(value) => format!("{:.1} %", value * 100.0),
        None => "-".to_owned(),
    };
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    format!(
        "  {what:13}{:>9} {:>9} {:>8} {:>7} {:>8} {:>9} {:>5} {:>7} {:>5} {:>7}",
        share(Some(of.total_return)),
        share(of.cagr),
        share(of.volatility),
        number(of.sharpe),
        number(of.sortino),
        share(Some(of.max_drawdown)),
        of.win_rate.map_or("-".to_owned(), |value| format!("{:.0} %", value * 100.0)),
        number(of.profit_factor),
        format!("{:.0} %", of.exposure * 100.0),
        of.trades
    )
}

fn decide(session: &Session, args: &PromoteArgs) -> anyhow::Result<()> {
    let thresholds = match &args.thresholds {
        Some(file) => Thresholds::read(file)?,
        None => Thresholds::bundled()?,
    };
    let mut promoted = Vec::new();
    args.play.each(session, |strategy, _, found| {
        let decision = promote(strategy, &found.walk, &thresholds);
        session
            .output
            .data(&decided(&decision), &Line { r#type: "promotion", value: &decision })?;
        if decision.promoted {
            promoted.push(strategy.clone());
        }
        Ok(())
    })?;
    if let Some(output) = &args.output {
        write(output, &RuleBook::of(promoted))?;
    }
    if !session.output.quiet {
        say(WARNING);
    }
    Ok(())
}

fn decided(decision: &Promotion) -> String {
    let word = if decision.promoted { "promoted" } else { "not promoted" };
    let mut lines = vec![format!("{}: {word}", decision.strategy)];
    for check in &decision.checks {
        let mark = if check.passed { "ok " } else { "no " };
        lines.push(format!("  {mark} {:15} {:32} {}", check.name, check.wanted, check.found));
    }
    lines.join("\n")
}
