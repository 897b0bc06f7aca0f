//! `rushes completions` and `rushes man`, both made from the one grammar.

use super::Session;
use crate::args::{Cli, Completions};
use crate::output::Status;
use clap::CommandFactory;

pub fn completions(session: &Session, args: &Completions) -> anyhow::Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rushes", &mut script);
    session.output.bytes(&script)?;
    Ok(Status::Ok)
}

pub fn man(session: &Session) -> anyhow::Result<Status> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    // One page for all: each verb's options follow the overview.
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let man =
            clap_mangen::Man::new(verb.clone().display_name(format!("rushes {}", verb.get_name())));
        page.extend_from_slice(
            format!(".SH \"RUSHES {}\"\n", verb.get_name().to_uppercase()).as_bytes(),
        );
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    session.output.bytes(&page)?;
    Ok(Status::Ok)
}
