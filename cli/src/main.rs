//! `rushes`: the command line of the engine. Thin: it turns words into typed settings, runs the
//! library's jobs one input after the other, and shows what came of them.

mod args;
mod commands;
mod inputs;
mod output;
mod progress;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    match commands::run(cli) {
        Ok(status) => status.code(),
        Err(error) => {
            // The reader of our output has gone: nothing is wrong.
            if output::is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            output::complain(&format!("{error:#}"));
            output::Status::Usage.code()
        }
    }
}
