//! Samples that could not be used.

use std::fmt::Write;

use anyhow::Result;

use crate::console::counted;
use crate::html::Text;
use crate::record::RunRecord;

/// A table for each run that has such samples. `picture` is HTML that shows one, where it can be shown.
pub(super) fn quarantine(
    runs: &[&RunRecord],
    picture: impl Fn(&RunRecord, u64) -> Option<String>,
) -> Result<String> {
    let mut html = String::new();
    for run in runs.iter().filter(|run| !run.quarantine.is_empty()) {
        let found = counted(run.quarantine.len() as u64, "sample");
        write!(html, "<h3><bdi>{}</bdi></h3><p>{found} could not be used.", Text(&run.name))?;
        if run.quarantine.len() > RunRecord::MOST_LISTED {
            write!(html, " The first {}; quarantine.json has all of them.", RunRecord::MOST_LISTED)?;
        }
        html.push_str("</p><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Unusable samples\"><table><thead><tr>");
        for heading in ["Sample", "Picture", "Place", "Cause"] {
            write!(html, "<th scope=\"col\">{heading}</th>")?;
        }
        html.push_str("</tr></thead><tbody>");
        for bad in run.quarantine.iter().take(RunRecord::MOST_LISTED) {
            let picture = picture(run, bad.sample).unwrap_or_else(|| "–".into());
            write!(
                html,
                "<tr><th scope=\"row\">{}</th><td>{picture}</td><td><bdi>{}</bdi></td><td><bdi>{}</bdi></td></tr>",
                bad.sample,
                Text(&bad.place),
                Text(&bad.cause)
            )?;
        }
        html.push_str("</tbody></table></div>");
    }
    if html.is_empty() {
        html.push_str("<p>None.</p>");
    }
    Ok(html)
}
