//! The page: its content and the assets that draw it, in one file.

use anyhow::Result;

use super::content::Content;
use crate::html::{Text, fill, script_json};

const TEMPLATE: &str = include_str!("assets/report.html");
const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");
const LIVE_SCRIPT: &str = include_str!("assets/live.js");
const MAP_SCRIPT: &str = include_str!("assets/map.js");
const CARDS_STYLE: &str = include_str!("../preview/cards.css");
const UPLOT: &str = include_str!("assets/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("assets/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("assets/uplot/LICENSE");

/// Where a page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file, which needs nothing else.
    File,
    /// On a server, which sends its content again when it changes.
    Server,
}

impl Place {
    /// What the page may load besides what is in it (Content Security Policy).
    fn may_connect_to(self) -> &'static str {
        match self {
            Self::File => "'none'",
            Self::Server => "'self'",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::File => "",
            Self::Server => LIVE_SCRIPT,
        }
    }
}

/// The page with this content.
///
/// # Errors
/// If a value cannot be written as JSON.
pub fn page(content: &Content, place: Place) -> Result<String> {
    let (title, data) = (Text(&content.title).to_string(), script_json(&content.data)?);
    let license = Text(UPLOT_LICENSE).to_string();
    let mut parts = vec![
        ("title", title.as_str()),
        ("style", STYLE),
        ("uplot_style", UPLOT_STYLE),
        ("uplot_license", &license),
        ("data", &data),
        ("uplot", UPLOT),
        ("script", SCRIPT),
        ("map_script", MAP_SCRIPT),
        ("cards_style", CARDS_STYLE),
        ("connect", place.may_connect_to()),
        ("live_script", place.script()),
    ];
    parts.extend(content.parts.iter().map(|(name, html)| (*name, html.as_str())));
    Ok(fill(TEMPLATE, &parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunRecord;
    use crate::report::content::Links;

    #[test]
    fn a_run_of_a_hundred_thousand_log_lines_makes_a_small_page() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), "seed = 0\n").unwrap();
        let line = |step: u64| {
            let loss = -(step as f64).sqrt().sin();
            format!(
                "{{\"step\":{step},\"epoch\":1,\"loss\":{loss},\"z_std\":{loss},\"z_std_even\":1.0,\"z_rank\":{loss},\
                 \"health\":\"healthy\",\"lr\":{loss},\"predictor_lr\":0.1,\"images_per_s\":9.5,\"data_wait\":0.1}}\n"
            )
        };
        std::fs::write(dir.path().join("metrics.jsonl"), (0..100_000).map(line).collect::<String>()).unwrap();
        let run = RunRecord::read(dir.path()).unwrap();
        let page = page(&Content::of(&[&run], Links::Anchors).unwrap(), Place::File).unwrap();
        assert!(page.len() < 1 << 20, "{} bytes", page.len());
        assert!(page.contains("99999"));
    }
}
