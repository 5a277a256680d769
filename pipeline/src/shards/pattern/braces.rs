//! Brace expansion as in the shell: `{a,b}`, `{000..120}`, nested and in sequence.

/// More shards than this are surely a mistake in a range.
const MOST: usize = 1_000_000;

/// Every string that the pattern stands for; the pattern itself when it has no braces to expand.
pub(crate) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let Some((start, end)) = first_braces(pattern) else { return Ok(vec![pattern.to_owned()]) };
    let (before, inside, after) = (&pattern[..start], &pattern[start + 1..end], &pattern[end + 1..]);
    let tails = expand(after)?;
    let alternatives = split_at_commas(inside);
    let middles = if alternatives.len() > 1 {
        let mut middles = Vec::new();
        for alternative in alternatives {
            middles.extend(expand(alternative)?);
        }
        middles
    } else if let Some(numbers) = range(inside)? {
        numbers
    } else {
        // Not a list and not a range: the braces are ordinary characters, as in the shell.
        expand(inside)?.into_iter().map(|inside| format!("{{{inside}}}")).collect()
    };
    if middles.len().saturating_mul(tails.len()) > MOST {
        return Err(format!("stands for more than {MOST} shards"));
    }
    let join =
        |middle: &String| tails.iter().map(|tail| format!("{before}{middle}{tail}")).collect::<Vec<_>>();
    Ok(middles.iter().flat_map(join).collect())
}

/// Where the first opening brace that is closed again is, and where it is closed.
fn first_braces(pattern: &str) -> Option<(usize, usize)> {
    let closing = |start: usize| {
        let mut depth = 0;
        pattern.bytes().enumerate().skip(start).find_map(|(at, byte)| {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            (depth == 0).then_some(at)
        })
    };
    let openings = pattern.bytes().enumerate().filter(|&(_, byte)| byte == b'{');
    openings.into_iter().find_map(|(start, _)| Some((start, closing(start)?)))
}

/// Splits at the commas that are in no inner braces.
fn split_at_commas(inside: &str) -> Vec<&str> {
    let mut depth = 0;
    let at_comma = |character| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        character == ',' && depth == 0
    };
    inside.split(at_comma).collect()
}

/// `008..11` gives `008 009 010 011`: padded to the longer bound if either begins with a zero. Downwards too.
fn range(inside: &str) -> Result<Option<Vec<String>>, String> {
    let Some((first, last)) = inside.split_once("..") else { return Ok(None) };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (Some(from), Some(to)) = (number(first), number(last)) else { return Ok(None) };
    if from.abs_diff(to) >= MOST as u64 {
        return Err(format!("{{{inside}}} stands for more than {MOST} shards"));
    }
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if is_padded(first) || is_padded(last) { first.len().max(last.len()) } else { 0 };
    let text = |number: u64| format!("{number:0width$}");
    let numbers =
        if from <= to { (from..=to).map(text).collect() } else { (to..=from).rev().map(text).collect() };
    Ok(Some(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_the_shell_does() {
        // Expected values from bash 5.
        for (pattern, expected) in [
            ("plain.tar", "plain.tar"),
            ("{a,b}.tar", "a.tar b.tar"),
            ("t-{008..011}.tar", "t-008.tar t-009.tar t-010.tar t-011.tar"),
            ("{08..11}", "08 09 10 11"),
            ("{8..11}", "8 9 10 11"),
            ("{1..010}", "001 002 003 004 005 006 007 008 009 010"),
            ("{3..1}", "3 2 1"),
            ("{0..0}", "0"),
            ("{a,b}{1..2}", "a1 a2 b1 b2"),
            ("{x{1..2},y}", "x1 x2 y"),
            ("{a,}b", "ab b"),
            ("{a}", "{a}"),
            ("{}", "{}"),
            ("{a{1..2}}", "{a1} {a2}"),
            ("x{", "x{"),
            ("}{1..2}", "}1 }2"),
            ("{{1..2}", "{1 {2"),
            ("{1..b}", "{1..b}"),
        ] {
            assert_eq!(expand(pattern).unwrap().join(" "), expected, "{pattern}");
        }
    }

    #[test]
    fn absurd_ranges_are_refused() {
        assert!(expand("{0..99999999999}").unwrap_err().contains("more than 1000000 shards"));
        assert!(expand("{0..9999}{0..9999}").is_err());
    }
}
