//! What the program is called in commands that it suggests.

use std::env;
use std::path::Path;

/// The program's name: that of its file.
const NAME: &str = env!("CARGO_PKG_NAME");

/// `simsiam` where that is on the PATH, `cargo run --` where cargo runs it, else what was typed: a suggested command can be pasted.
pub fn program() -> String {
    let is_on_path = env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|dir| dir.join(format!("{NAME}{}", env::consts::EXE_SUFFIX)).is_file())
    });
    name(
        is_on_path,
        env::var_os("CARGO").is_some(),
        env::args_os().next().map(|typed| typed.to_string_lossy().into_owned()).as_deref(),
    )
}

fn name(is_on_path: bool, is_run_by_cargo: bool, typed: Option<&str>) -> String {
    match typed {
        Some(typed) if !is_on_path && !is_run_by_cargo && Path::new(typed).components().count() > 1 => {
            typed.to_owned()
        }
        _ if is_run_by_cargo && !is_on_path => "cargo run --".into(),
        _ => NAME.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggested_command_can_be_pasted() {
        assert_eq!(name(true, true, Some("target/debug/simsiam")), "simsiam");
        assert_eq!(name(false, true, Some("target/debug/simsiam")), "cargo run --");
        assert_eq!(name(false, false, Some("/opt/simsiam/simsiam")), "/opt/simsiam/simsiam");
        assert_eq!(name(false, false, None), "simsiam");
    }
}
