//! Shell completions and manual pages, generated from the command line's own description.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use super::console::print;
use crate::error::{Error, Result};
use crate::files;

/// Print completions of commands and options for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  gpu-resnet completions bash > ~/.local/share/bash-completion/completions/gpu-resnet"
)]
pub struct CompletionsArgs {
    /// Name of the shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page, or write one for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet man | man -l -\n  gpu-resnet man --output ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write gpu-resnet.1 and a page for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Prints the completions of `program`.
pub fn completions(mut program: clap::Command, args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "gpu-resnet", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}

/// Prints the manual page of `program`, or writes one of each of its commands.
pub fn man(mut program: clap::Command, args: &ManArgs) -> Result<()> {
    program.build();
    let Some(folder) = &args.output else {
        return print(page(program, None)?.trim_end());
    };
    files::create_folder(folder)?;
    write_pages(folder, program)
}

/// The pages of `command` and its subcommands.
fn write_pages(folder: &Path, command: clap::Command) -> Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let below: Vec<clap::Command> = command.get_subcommands().filter(|c| c.get_name() != "help").cloned().collect();
    let path = folder.join(format!("{name}.1"));
    files::write(&path, page(command, Some(&path))?.as_bytes())?;
    below.into_iter().try_for_each(|command| write_pages(folder, command))
}

fn page(command: clap::Command, path: Option<&Path>) -> Result<String> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    let file = path.unwrap_or(Path::new("the standard output"));
    rendered.map_err(|error| Error::file(file, format!("the manual page can't be made: {error}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
