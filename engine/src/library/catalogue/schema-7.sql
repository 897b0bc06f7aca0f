-- Version 7: rules that are taught in a film, how they did on prices, and what was decided.
CREATE TABLE strategies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    start_ticks INTEGER NOT NULL,
    start_base INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL,
    end_base INTEGER NOT NULL,
    confidence REAL NOT NULL,
    rules TEXT NOT NULL,
    UNIQUE (run_id, name)
) STRICT;
CREATE INDEX strategies_of_media ON strategies (media_id);

CREATE TABLE backtests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    strategy_id INTEGER NOT NULL REFERENCES strategies (id) ON DELETE CASCADE,
    prices TEXT NOT NULL,
    trades INTEGER NOT NULL,
    total_return REAL NOT NULL,
    max_drawdown REAL NOT NULL,
    sharpe REAL,
    study TEXT NOT NULL
) STRICT;
CREATE INDEX backtests_of_run ON backtests (run_id);
CREATE INDEX backtests_of_media ON backtests (media_id);
CREATE INDEX backtests_of_strategy ON backtests (strategy_id);

CREATE TABLE promotions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    backtest_id INTEGER NOT NULL REFERENCES backtests (id) ON DELETE CASCADE,
    promoted INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX promotions_of_run ON promotions (run_id);
CREATE INDEX promotions_of_media ON promotions (media_id);
CREATE INDEX promotions_of_backtest ON promotions (backtest_id);
