//! `simsiam completions` and `simsiam man`: the command line for shells and for `man`.

use std::fs;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::console::Console;

/// Prints a shell's completion script.
///
/// # Errors
/// If it cannot be written.
pub fn completions(args: &CompletionsArgs, console: &Console) -> Result<()> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(console.result(String::from_utf8_lossy(&script).trim_end())?)
}

/// Writes a page for the program and one for each command.
///
/// # Errors
/// If they cannot be written.
pub fn man(args: &ManArgs, console: &Console) -> Result<()> {
    let dir = &args.dir;
    let write = || {
        fs::create_dir_all(dir)?;
        clap_mangen::generate_to(Cli::command(), dir)
    };
    write().with_context(|| format!("cannot write manual pages to {}", dir.display()))?;
    console.line(format_args!("manual pages in {0}: man {0}/simsiam.1", dir.display()));
    Ok(())
}
