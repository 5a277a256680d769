//! The commands, flags and configurations in the documentation's pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use simsiam::cli::Cli;

/// A command as a page has it.
pub(super) struct Documented {
    /// The page's path and the line's number.
    pub(super) place: String,
    /// What stands there.
    pub(super) line: String,
    /// What the reader types: one element a word, without the program's name.
    pub(super) words: Vec<String>,
    /// Whether it has a line of its own, to be pasted, and is not part of a sentence.
    pub(super) is_complete: bool,
}

/// The pages whose commands are read, from the repository's root.
pub(super) fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    pages.extend(["README.md", "zoo/README.md"].map(|page| root.join(page)));
    pages.sort();
    pages
}

/// A page's commands: the lines of its `sh` blocks and its indented lines, and those within sentences.
pub(super) fn commands(page: &Path) -> Vec<Documented> {
    let mut commands = Vec::new();
    for_each_line(page, |number, line, language| {
        let place = || format!("{}:{number}", name(page));
        match language {
            Some("sh") => commands.extend(documented(place(), line, true)),
            Some(_) => {}
            None if is_indented(line) => commands.extend(documented(place(), line, true)),
            None => commands.extend(spans(line).filter_map(|span| documented(place(), span, false))),
        }
    });
    commands
}

fn documented(place: String, line: &str, is_complete: bool) -> Option<Documented> {
    let words = arguments(&words(line))?;
    Some(Documented { place, line: line.trim().into(), words, is_complete })
}

/// The flags that a page names by themselves, such as `--epochs` in a sentence, each with its place.
pub(super) fn flags(page: &Path) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    for_each_line(page, |number, line, language| {
        if language.is_none() {
            let named = spans(line).filter(|span| span.starts_with("--")).flat_map(words);
            let named = named.filter(|word| word.starts_with("--"));
            flags.extend(named.map(|flag| (format!("{}:{number}", name(page)), flag)));
        }
    });
    flags
}

/// The blocks of TOML in a page, fenced or indented, each with its place.
pub(super) fn configurations(page: &Path) -> Vec<(String, String)> {
    let mut blocks = Vec::<(String, String)>::new();
    let mut is_open = false;
    for_each_line(page, |number, line, language| {
        let goes_on = match language {
            Some(language) => language == "toml",
            None => is_indented(line) || is_open && line.is_empty(),
        };
        if goes_on && !is_open {
            blocks.push((format!("{}:{number}", name(page)), String::new()));
        }
        if let Some((_, text)) = blocks.last_mut().filter(|_| goes_on) {
            *text += line.trim();
            text.push('\n');
        }
        is_open = goes_on;
    });
    // An indented block may be anything else: a step of a recipe, a formula.
    let is_setting = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let is_toml = |text: &str| text.starts_with('[') || text.lines().next().is_some_and(is_setting);
    blocks.retain(|(_, text)| is_toml(text));
    blocks
}

/// Every long flag of every command.
pub(super) fn known_flags() -> BTreeSet<String> {
    fn add(command: &Command, flags: &mut BTreeSet<String>) {
        let named = command.get_arguments().filter_map(|argument| argument.get_long());
        flags.extend(named.map(|name| format!("--{name}")));
        command.get_subcommands().for_each(|command| add(command, flags));
    }
    let mut flags = BTreeSet::from(["--help".into(), "--version".into()]);
    add(&Cli::command(), &mut flags);
    flags
}

fn name(page: &Path) -> &str {
    let name = page.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
    name.to_str().unwrap()
}

/// Calls `each` with the number and the text of every line, and with the language of the fenced block that it is in.
fn for_each_line(page: &Path, mut each: impl FnMut(usize, &str, Option<&str>)) {
    let text = fs::read_to_string(page).unwrap();
    let mut block = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, language) => each(number + 1, line, language),
        }
    }
}

fn is_indented(line: &str) -> bool {
    line.starts_with("    ")
}

/// What stands between backticks in a line.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// What the program is given: the words behind its name, up to where the shell's part begins. `None` if the line is another program's.
fn arguments(words: &[String]) -> Option<Vec<String>> {
    let cargo = ["cargo", "run", "--"];
    let start = match words.iter().position(|word| word == "simsiam") {
        Some(at) => at + 1,
        None if words.len() > cargo.len() && words[..cargo.len()] == cargo => cargo.len(),
        None => return None,
    };
    let arguments = words[start..].iter().take_while(|word| ![">", "|", "&&"].contains(&word.as_str()));
    let arguments: Vec<_> = arguments.cloned().collect();
    (!arguments.is_empty()).then_some(arguments)
}

/// A line's words as a shell sees them, without a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in line.chars() {
        match char {
            '\'' | '"' if quote.is_none() => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            _ if quote == Some(char) => quote = None,
            ' ' if quote.is_none() => words.extend(word.take()),
            '#' if quote.is_none() && word.is_none() => break,
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[test]
fn words_are_a_shells() {
    assert_eq!(
        words("simsiam train --shards 's3://b/*.tar' a#b --x=\"1 2\" # c 'd"),
        ["simsiam", "train", "--shards", "s3://b/*.tar", "a#b", "--x=1 2"]
    );
    let arguments = |line| arguments(&words(line)).map(|words| words.join(" "));
    assert_eq!(arguments("TOKEN=1 mpirun -n 4 simsiam runs > file").as_deref(), Some("runs"));
    assert_eq!(arguments("cargo run -- runs | head").as_deref(), Some("runs"));
    assert_eq!(arguments("cargo test -- runs"), None);
}
