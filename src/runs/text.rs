//! Numbers and tables as text.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time to the minute, in UTC: `2026-11-27 22:15`. `None` for a file's time that is no date since 1970.
pub fn minute(time: SystemTime) -> Option<String> {
    /// The end of the year 9999.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    time.duration_since(UNIX_EPOCH).ok().filter(|since| *since <= LAST)?;
    let text = humantime::format_rfc3339_seconds(time).to_string();
    Some(text[..16].replace('T', " "))
}

/// A number of bytes: `12.3 MiB`.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

/// Rows in aligned columns, two spaces apart; a cell wider than `most` characters is cut, at its end or, of a path, at its
/// beginning.
pub(super) fn table(rows: &[Vec<String>], most: usize) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| cut(cell, most)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:width$}  ").expect("a string can be written to");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cut(cell: &str, most: usize) -> String {
    // A control character in a folder's name must not reach the terminal.
    let cell: String = cell.chars().map(|char| if char.is_control() { '?' } else { char }).collect();
    if cell.chars().count() <= most {
        return cell;
    }
    if cell.contains('/') {
        // Paths differ in their ends.
        let left_out = cell.chars().count() - (most - 1);
        return ['…'].into_iter().chain(cell.chars().skip(left_out)).collect();
    }
    cell.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_long_cells_are_cut() {
        let rows = [vec!["run".into(), "state".into()], vec!["a-long-name".into(), "go\x1b[0m".into()]];
        assert_eq!(table(&rows, 8), "run       state\na-long-…  go?[0m\n");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!([bytes(1023), bytes(1536), bytes(5 << 30)], ["1023 B", "1.5 KiB", "5.0 GiB"]);
        let at = |seconds| minute(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_000_000_000).as_deref(), Some("2001-09-09 01:46"));
        assert_eq!((at(253_402_300_799).map(|text| text.len()), at(253_402_300_800)), (Some(16), None));
        assert_eq!(minute(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
