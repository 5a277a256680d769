//! Loss, std of `z / |z|`, its rank and kNN over training, side by side: figure 2 of the paper and more.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{Group, Row, RunResult};
use crate::record;

/// Told apart by people with any colour vision (Okabe & Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];
const PANEL: (u32, u32) = (380, 330);

type Line = Vec<(f64, f64)>;

/// Draws the runs of some rows; the x-axis is the share of the run, since batch sizes differ.
pub(super) fn write(path: &Path, group: Group, rows: &[&(Row, Vec<RunResult>)]) -> Result<()> {
    draw(path, group, rows).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
}

fn draw(
    path: &Path,
    group: Group,
    rows: &[&(Row, Vec<RunResult>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let legend = 24 + 18 * rows.len() as u32;
    let root = SVGBackend::new(path, (4 * PANEL.0, PANEL.1 + legend)).into_drawing_area();
    root.fill(&WHITE)?;
    let (panels, names) = root.split_vertically(PANEL.1);
    let panels = panels.split_evenly((1, 4));
    let curves = |of: &dyn Fn(&RunResult) -> Line| -> Vec<(usize, Line)> {
        let runs = rows.iter().enumerate().flat_map(|(i, (_, runs))| runs.iter().map(move |run| (i, run)));
        runs.map(|(i, run)| (i, of(run))).collect()
    };
    let over_steps = |value: fn(&record::Line) -> Option<f64>| {
        move |run: &RunResult| -> Line {
            let end = run.steps.last().map_or(1, |point| point.step) as f64;
            run.steps.iter().filter_map(|point| Some((point.step as f64 / end, value(point)?))).collect()
        }
    };
    let losses = curves(&over_steps(|point| point.loss));
    if group.has_several_losses() {
        let falls = losses.into_iter().map(|(row, line)| (row, share_of_fall(line))).collect::<Vec<_>>();
        panel(&panels[0], "loss, from its first value (1) to its least (0)", &falls, Some(-0.05..1.3))?;
    } else {
        panel(&panels[0], "loss", &losses, None)?;
    }
    panel(
        &panels[1],
        "std of z/|z| over 1/sqrt(d)",
        &curves(&over_steps(record::Line::relative_std)),
        Some(0.0..1.1),
    )?;
    panel(&panels[2], "effective rank", &curves(&over_steps(|point| point.z_rank)), None)?;
    let knn = |run: &RunResult| -> Line {
        let end = run.knn.last().map_or(1, |(epoch, _)| (*epoch).max(1)) as f64;
        run.knn.iter().map(|(epoch, top1)| (*epoch as f64 / end, *top1)).collect()
    };
    panel(&panels[3], "kNN top-1, %", &curves(&knn), None)?;
    names.draw(&Text::new(group.title(), (16, 2), ("sans-serif", 14)))?;
    for (i, (row, _)) in rows.iter().enumerate() {
        let (y, colour) = (28 + 18 * i as i32, COLOURS[i % COLOURS.len()]);
        names.draw(&PathElement::new([(16, y), (44, y)], colour.stroke_width(2)))?;
        names.draw(&Text::new(row.name.clone(), (52, y - 7), ("sans-serif", 13)))?;
    }
    Ok(root.present()?)
}

/// A loss on a scale that those of other methods have too.
fn share_of_fall(line: Line) -> Line {
    let first = line.first().map_or(0.0, |(_, loss)| *loss);
    let least = line.iter().fold(f64::INFINITY, |least, (_, loss)| least.min(*loss));
    let fall = (first - least).max(f64::MIN_POSITIVE);
    line.into_iter().map(|(x, loss)| (x, (loss - least) / fall)).collect()
}

/// One set of axes.
fn panel<DB: DrawingBackend>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    title: &str,
    curves: &[(usize, Line)],
    range: Option<Range<f64>>,
) -> Result<(), Box<dyn std::error::Error>>
where
    DB::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..1.0, range.unwrap_or_else(|| extent(curves)))?;
    chart.configure_mesh().x_labels(5).y_labels(6).x_desc("share of the run").max_light_lines(0).draw()?;
    for (row, line) in curves {
        let colour = COLOURS[row % COLOURS.len()];
        chart.draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?;
    }
    Ok(())
}

/// The values, with some room around them.
fn extent(curves: &[(usize, Line)]) -> Range<f64> {
    let values = || curves.iter().flat_map(|(_, line)| line.iter().map(|(_, value)| *value));
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if least > most {
        return 0.0..1.0;
    }
    let room = 0.05 * (most - least).max(1e-3);
    least - room..most + room
}
