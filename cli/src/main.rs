//! `rushes`: the command line of the engine. Thin: it turns words into typed settings, runs the
//! library's jobs one input after the other, and shows what came of them.

mod args;
mod commands;
mod inputs;
mod output;
mod progress;

use clap::Parser;
use rushes::text::plain;
use std::io::ErrorKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    match commands::run(cli) {
        Ok(status) => status.code(),
        Err(error) => {
            let failure = output::output_failure(&error);
            // The reader of our output has gone: nothing is wrong.
            if failure.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            output::complain(&plain(&format!("{error:#}")));
            failure.map_or(output::Status::Usage, output::Status::of_output).code()
        }
    }
}
