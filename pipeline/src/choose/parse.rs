//! Parses a condition into its tree.

use std::path::{Path, PathBuf};

use glob::Pattern;

use super::ChoiceError;
use super::condition::{Class, Condition, Test};

/// Parentheses and `not`s inside each other, at most.
const DEEPEST: usize = 100;

/// Reads a condition.
///
/// ```text
/// either := both ("or" both)*
/// both   := one ("and" one)*
/// one    := "not" one | "(" either ")" | test
/// test   := "label" ("=" | "!=") class | "label" ["not"] "in" "[" class ("," class)* "]"
///         | "key" ["not"] "like" text | "key" ["not"] "in" text
/// ```
pub(super) fn condition(text: &str) -> Result<Condition<Test>, ChoiceError> {
    Ok(parsed(text)?.0)
}

/// The tree, and the parser that has read it.
fn parsed(text: &str) -> Result<(Condition<Test>, Parser), ChoiceError> {
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end, depth: 0, lists: Vec::new() };
    let condition = parser.either()?;
    match parser.peek() {
        None => Ok((condition, parser)),
        Some(_) => Err(parser.expected("and, or, or the end")),
    }
}

/// The condition with other names for the files that list keys. A name that no quotes can hold stays.
pub(super) fn with_lists(text: &str, rename: impl Fn(&Path) -> PathBuf) -> Result<String, ChoiceError> {
    let (_, parser) = parsed(text)?;
    let (characters, mut renamed, mut copied) = (text.chars().collect::<Vec<_>>(), String::new(), 0);
    for list in parser.lists {
        let (at, token) = &parser.tokens[list];
        let (Token::Word(path) | Token::Quoted(path)) = token else { continue };
        let new = Some(rename(Path::new(path))).filter(|new| *new != Path::new(path));
        let quote = |new: PathBuf| {
            let new = new.into_os_string().into_string().ok()?;
            let quote = ['\'', '"'].into_iter().find(|quote| !new.contains(*quote))?;
            Some(format!("{quote}{new}{quote}"))
        };
        if let Some(new) = new.and_then(quote) {
            let quotes = if matches!(token, Token::Quoted(_)) { 2 } else { 0 };
            renamed.extend(&characters[copied..at - 1]);
            renamed.push_str(&new);
            copied = at - 1 + path.chars().count() + quotes;
        }
    }
    renamed.extend(&characters[copied..]);
    Ok(renamed)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

const SIGNS: [&str; 8] = ["(", ")", "[", "]", ",", "!=", "==", "="];

/// The tokens, each with the place of its first character, counted from 1.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ChoiceError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text[..text.len() - rest.len()].chars().count() + 1;
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if first == '\'' || first == '"' {
            let Some((quoted, behind)) = rest[1..].split_once(first) else {
                let found = "the end of the text".to_owned();
                return Err(ChoiceError::Syntax { expected: "a closing quote for the one", at, found });
            };
            tokens.push((at, Token::Quoted(quoted.to_owned())));
            rest = behind;
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push((at, Token::Sign(if sign == "==" { "=" } else { sign })));
            rest = &rest[sign.len()..];
        } else {
            let is_end = |c: char| c.is_whitespace() || "()[],='\"".contains(c);
            let end = rest.find("!=").into_iter().chain(rest.find(is_end)).min().unwrap_or(rest.len());
            tokens.push((at, Token::Word(rest[..end].to_owned())));
            rest = &rest[end..];
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// The place behind the text.
    end: usize,
    depth: usize,
    /// The tokens that name files of keys.
    lists: Vec<usize>,
}

impl Parser {
    fn either(&mut self) -> Result<Condition<Test>, ChoiceError> {
        let mut any = vec![self.both()?];
        while self.took_word("or") {
            any.push(self.both()?);
        }
        Ok(Condition::Any(any))
    }

    fn both(&mut self) -> Result<Condition<Test>, ChoiceError> {
        let mut all = vec![self.one()?];
        while self.took_word("and") {
            all.push(self.one()?);
        }
        Ok(Condition::All(all))
    }

    fn one(&mut self) -> Result<Condition<Test>, ChoiceError> {
        if self.depth == DEEPEST {
            return Err(self.expected("at most 100 conditions inside each other"));
        }
        self.depth += 1;
        let one = if self.took_word("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.took_sign("(") {
            let inner = self.either()?;
            self.sign(")", "and, or, or )")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(one)
    }

    fn test(&mut self) -> Result<Condition<Test>, ChoiceError> {
        if self.took_word("label") {
            self.label()
        } else if self.took_word("key") {
            self.key()
        } else {
            Err(self.expected("label, key, not or ("))
        }
    }

    fn label(&mut self) -> Result<Condition<Test>, ChoiceError> {
        if self.took_sign("=") {
            return Ok(Condition::Test(Test::Label(vec![self.class()?])));
        }
        if self.took_sign("!=") {
            return Ok(Condition::Test(Test::Label(vec![self.class()?])).unless(true));
        }
        let not = self.took_word("not");
        if !self.took_word("in") {
            return Err(self.expected(if not { "in" } else { "=, !=, in or not in" }));
        }
        self.sign("[", "a list such as [3, cat]")?;
        let mut classes = vec![self.class()?];
        while self.took_sign(",") {
            classes.push(self.class()?);
        }
        self.sign("]", ", or ]")?;
        Ok(Condition::Test(Test::Label(classes)).unless(not))
    }

    fn class(&mut self) -> Result<Class, ChoiceError> {
        let class = match self.peek() {
            Some(Token::Quoted(name)) => Class::Name(name.clone()),
            Some(Token::Word(word)) if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                let number = word.parse().map_err(|_| self.expected("a label's number, below 4294967296"))?;
                Class::Number(number)
            }
            Some(Token::Word(name)) => Class::Name(name.clone()),
            _ => return Err(self.expected("a label's number or the name of a class")),
        };
        self.next += 1;
        Ok(class)
    }

    fn key(&mut self) -> Result<Condition<Test>, ChoiceError> {
        let not = self.took_word("not");
        let test = if self.took_word("like") {
            let pattern = self.text("a pattern")?;
            let cause =
                |error: glob::PatternError| format!("{} at its character {}", error.msg, error.pos + 1);
            Pattern::new(&pattern)
                .map(Test::Like)
                .map_err(|error| ChoiceError::Pattern { pattern, cause: cause(error) })?
        } else if self.took_word("in") {
            self.lists.push(self.next);
            Test::Listed(PathBuf::from(self.text("a file that lists keys")?))
        } else {
            return Err(self.expected(if not { "like or in" } else { "like, in, not like or not in" }));
        };
        Ok(Condition::Test(test).unless(not))
    }

    /// A word or what is in quotes.
    fn text(&mut self, expected: &'static str) -> Result<String, ChoiceError> {
        let Some(Token::Word(text) | Token::Quoted(text)) = self.peek() else {
            return Err(self.expected(expected));
        };
        let text = text.clone();
        self.next += 1;
        Ok(text)
    }

    fn sign(&mut self, sign: &'static str, expected: &'static str) -> Result<(), ChoiceError> {
        if self.took_sign(sign) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn took_sign(&mut self, sign: &'static str) -> bool {
        self.took(|token| *token == Token::Sign(sign))
    }

    fn took_word(&mut self, word: &str) -> bool {
        self.took(|token| matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word)))
    }

    fn took(&mut self, is_it: impl Fn(&Token) -> bool) -> bool {
        let took = self.peek().is_some_and(is_it);
        self.next += usize::from(took);
        took
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn expected(&self, expected: &'static str) -> ChoiceError {
        let (at, found) = match self.tokens.get(self.next) {
            Some((at, Token::Word(text) | Token::Quoted(text))) => (*at, format!("{text:?}")),
            Some((at, Token::Sign(sign))) => (*at, (*sign).to_owned()),
            None => (self.end, "the end of the text".to_owned()),
        };
        ChoiceError::Syntax { expected, at, found }
    }
}
