//! `rushes`: the command line of the engine. Thin: it turns words into typed settings, runs the
//! library's jobs one input after the other, and shows what came of them.

mod args;
mod batch;
mod bench;
mod commands;
mod inputs;
mod output;
mod progress;

use clap::Parser;
use rushes::text::plain;
use std::io::ErrorKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let for_worker = batch::child::die_with_worker();
    let cli = args::Cli::parse();
    let done = commands::run(cli);
    if for_worker {
        batch::child::tell_used();
        batch::point::at("child-over");
    }
    match done {
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
