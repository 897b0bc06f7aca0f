//! Recipes: which stages make up a job for a purpose, as steps that people know, and with what settings.

use super::Lesson;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::Catalogue;
use crate::strategy::extract::Patterns;
use crate::strategy::{PriceRules, Prices, Setup, Thresholds, WalkSplit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// A recipe.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The version of this form: 1.
    pub recipe: u32,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Its steps, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// What rules are played through.
    #[serde(default)]
    pub backtest: BacktestChoice,
    /// What must be shown; those that come along without.
    pub thresholds: Option<Thresholds>,
}

/// A step: stages of [`super::Process`], and the tables of the catalogue that they fill.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Stages.
    pub stages: Vec<String>,
    /// Tables.
    pub tables: Vec<String>,
}

/// The settings of backtests. Paths are relative to the recipe.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BacktestChoice {
    /// A price file; made-up prices without.
    pub prices: Option<PathBuf>,
    /// How rules are said; patterns for English without.
    pub patterns: Option<PathBuf>,
    /// Capital, costs, sizing.
    pub setup: Option<Setup>,
    /// How prices are divided.
    pub split: Option<WalkSplit>,
}

/// How a step stands after a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// Its place, from 1.
    pub n: usize,
    /// Its name.
    pub step: String,
    /// What became of it.
    pub state: StepState,
    /// How long its stages took when they last ran.
    pub seconds: f64,
    /// Rows of the library, all films together, in its tables.
    pub rows: BTreeMap<String, u64>,
    /// Why there is less than one might expect.
    pub notes: Vec<String>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// It ran.
    Ran,
    /// All of it was there.
    Current,
    /// A stage of it failed, or was not run because of another.
    Failed,
    /// Its stages cannot be run here: a model is missing.
    Absent,
}

impl Recipe {
    /// The names of those that come along.
    pub const BUNDLED: &'static [&'static str] = &["trading"];

    /// One that comes along, or a file.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for what is neither, and for a file that is no recipe, with the line; I/O
    /// failures.
    pub fn named(name: &str) -> Result<(Self, PathBuf)> {
        if name == "trading" {
            return Ok((Self::parse(include_str!("recipes/trading.toml"))?, PathBuf::new()));
        }
        let path = Path::new(name);
        if !path.is_file() {
            let what = "is no recipe that comes along, and no file";
            return Err(Error::new(ErrorKind::Input, Stage::Process, what)
                .input(path)
                .hint(format!("those that come along: {}", Self::BUNDLED.join(", "))));
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(Stage::Process, path, e))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok((Self::parse(&text).map_err(|error| error.input(path))?, folder))
    }

    /// Reads a recipe (TOML).
    ///
    /// # Errors
    /// As [`Recipe::named`].
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |at: usize, what: &str| {
            let line = 1 + text.get(..at).unwrap_or_default().matches('\n').count();
            Error::new(ErrorKind::Input, Stage::Process, format!("line {line}: {what}"))
        };
        let found: Self = toml::from_str(text)
            .map_err(|e| wrong(e.span().map_or(0, |span| span.start), e.message()))?;
        if found.recipe != VERSION {
            let what = format!("version {}; this program knows {VERSION}", found.recipe);
            return Err(wrong(0, &what));
        }
        let tables = found.steps.iter().flat_map(|step| &step.tables);
        let known = |table: &&String| crate::library::catalogue::TABLES.contains(&table.as_str());
        if let Some(table) = tables.into_iter().find(|table| !known(table)) {
            let at = text.find(&format!("\"{table}\"")).unwrap_or(0);
            return Err(wrong(at, &format!("`{table}` is no table of a library")));
        }
        Ok(found)
    }

    /// Whether any step asks for this stage.
    pub fn wants(&self, stage: &str) -> bool {
        self.steps.iter().any(|step| step.stages.iter().any(|name| name == stage))
    }

    /// What its stages of rules work with. `folder` is that of the recipe; `prices` goes before its own.
    ///
    /// # Errors
    /// As [`Prices::read`], [`Patterns::read`].
    pub fn lesson(&self, folder: &Path, prices: Option<&Path>) -> Result<Lesson> {
        let mut lesson = Lesson::bundled()?;
        let own = self.backtest.prices.as_ref().map(|path| folder.join(path));
        if let Some(path) = prices.map(Path::to_path_buf).or(own) {
            lesson.prices = Prices::read(&path, PriceRules::default())?;
        }
        if let Some(path) = &self.backtest.patterns {
            lesson.patterns = Patterns::read(&folder.join(path))?;
        }
        lesson.setup = self.backtest.setup.unwrap_or(lesson.setup);
        lesson.split = self.backtest.split.unwrap_or(lesson.split);
        lesson.thresholds = self.thresholds.clone().unwrap_or(lesson.thresholds);
        Ok(lesson)
    }

    /// How each step stands for a medium; `ran`: the stages that ran now.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn report(
        &self,
        catalogue: &Catalogue,
        media: i64,
        ran: &[&str],
    ) -> Result<Vec<StepReport>> {
        let runs = catalogue.runs_of(media)?;
        let report = |(n, step): (usize, &Step)| {
            let own: Vec<_> =
                runs.iter().filter(|run| step.stages.contains(&run.parts.stage)).collect();
            let state = match () {
                () if own.iter().any(|run| !run.done) => StepState::Failed,
                () if own.is_empty() => StepState::Absent,
                () if own.iter().any(|run| ran.contains(&run.parts.stage.as_str())) => {
                    StepState::Ran
                }
                () => StepState::Current,
            };
            let mut rows = BTreeMap::new();
            for table in &step.tables {
                rows.insert(table.clone(), catalogue.count(table)?);
            }
            Ok(StepReport {
                n: n + 1,
                step: step.name.clone(),
                state,
                // Stages that share one reading each tell the whole of it.
                seconds: own.iter().map(|run| run.wall.as_secs_f64()).fold(0.0, f64::max),
                rows,
                notes: own.iter().filter_map(|run| run.note.clone()).collect(),
            })
        };
        self.steps.iter().enumerate().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_that_comes_along_has_ten_steps() {
        let (recipe, _) = Recipe::named("trading").unwrap();
        let names: Vec<&str> = recipe.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "ingest",
                "transcribe",
                "keywords",
                "concepts",
                "clips",
                "embeddings",
                "features",
                "strategy",
                "backtest",
                "promotion"
            ]
        );
        assert!(recipe.wants("promotion") && !recipe.wants("cooking"));
        let lesson = recipe.lesson(Path::new(""), None).unwrap();
        assert_eq!(lesson.prices.bars().len(), 1040);
    }

    #[test]
    fn bad_recipes_name_their_line() {
        const HEAD: &str = "recipe = 1\nname = 'x'\nabout = 'y'\n";
        for (tail, told) in [
            ("[[step]]\nname='a'\nstages=[]\ntables=[\"tables\"]", "line 7: `tables` is no table"),
            ("[[step]]\nname='a'\nstage=[]", "line 6: unknown field `stage`"),
            ("step = 3", "line 4: "),
        ] {
            let error = Recipe::parse(&format!("{HEAD}{tail}")).unwrap_err();
            assert!(error.message().starts_with(told), "{error}");
        }
        assert!(Recipe::parse("recipe = 2\nname='x'\nabout=''\nstep=[]").is_err());
        let error = Recipe::named("no-such").unwrap_err();
        assert!(error.what_to_do().unwrap().contains("trading"));
    }
}
