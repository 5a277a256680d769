//! The confusion matrix as a picture: a row for each class, darker where more of it was taken for the column's class.

use anyhow::Result;
use image::Rgb;

use crate::canvas::{BLACK, Canvas, LETTER, LINE, WHITE, mixed};

/// Side of the whole grid in pixels, about.
const GRID: u32 = 480;
const MIN_CELL: u32 = 2;
/// From this side on, cells are set apart by lines.
const LINED_CELL: u32 = 6;
const MARGIN: u32 = 8;
/// Longer class names are cut.
const MAX_LABEL: usize = 14;

const GRID_COLOR: Rgb<u8> = Rgb([208, 208, 208]);
/// Where all of a class went to one class.
const FULL: Rgb<u8> = Rgb([8, 48, 107]);

/// A PNG file of counts, row by row; `names` has one entry for each class, `title` one for each line above.
///
/// # Errors
/// If the picture cannot be encoded.
pub fn confusion_png(confusion: &[Vec<u32>], names: &[String], title: &[String]) -> Result<Vec<u8>> {
    draw(confusion, names, title).to_png()
}

fn draw(confusion: &[Vec<u32>], names: &[String], title: &[String]) -> Canvas {
    let classes = confusion.len() as u32;
    let side = (GRID / classes).clamp(MIN_CELL, GRID / 10);
    let labels: Vec<String> = names.iter().map(|name| name.chars().take(MAX_LABEL).collect()).collect();
    let width_of =
        |texts: &[String]| LETTER * texts.iter().map(|t| t.chars().count()).max().unwrap_or(0) as u32;

    let label_width = width_of(&labels);
    let (left, top) = (2 * MARGIN + label_width, 2 * MARGIN + LINE * title.len() as u32 + label_width);
    let width = (left + side * classes).max(MARGIN + width_of(title)) + MARGIN;
    let mut canvas = Canvas::new(width, top + side * classes + MARGIN);

    for (row, text) in (0..).zip(title) {
        canvas.text(text, (MARGIN, MARGIN + row * LINE), BLACK);
    }
    let centred = side.saturating_sub(LINE) / 2;
    for index in (0..classes).step_by(LINE.div_ceil(side) as usize) {
        let (label, at) = (&labels[index as usize], index * side + centred);
        let own_width = LETTER * label.chars().count() as u32;
        canvas.text(label, (left - MARGIN / 2 - own_width, top + at), BLACK);
        canvas.text_upwards(label, (left + at, top - MARGIN / 2), BLACK);
    }
    for (y, counts) in (0..).zip(confusion) {
        let total: u32 = counts.iter().sum();
        for (x, &count) in (0..).zip(counts) {
            let share = if total == 0 { 0.0 } else { f64::from(count) / f64::from(total) };
            cell(&mut canvas, (left + x * side, top + y * side), side, share);
        }
    }
    canvas
}

/// A square that is darker the nearer the share is to 1, with its percents where they fit.
fn cell(canvas: &mut Canvas, (x, y): (u32, u32), side: u32, share: f64) {
    if side >= LINED_CELL {
        canvas.fill((x, y), (side, side), GRID_COLOR);
        canvas.fill((x, y), (side - 1, side - 1), shade(share));
    } else {
        canvas.fill((x, y), (side, side), shade(share));
    }
    let text = format!("{:.0}", 100.0 * share);
    let width = LETTER * text.len() as u32;
    if text != "0" && side > 3 * LETTER {
        let color = if share > 0.5 { WHITE } else { BLACK };
        canvas.text(&text, (x + (side - width) / 2, y + (side - LINE) / 2), color);
    }
}

fn shade(share: f64) -> Rgb<u8> {
    mixed(WHITE, FULL, share)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn chart(classes: usize) -> RgbImage {
        let mut confusion = vec![vec![0; classes]; classes];
        confusion[0][classes - 1] = 3;
        confusion[0][0] = 1;
        let names: Vec<String> = (0..classes).map(|class| format!("a class named {class}")).collect();
        let png = confusion_png(&confusion, &names, &["title".into()]).unwrap();
        image::load_from_memory(&png).unwrap().to_rgb8()
    }

    #[test]
    fn cells_are_darker_the_more_they_hold() {
        let image = chart(10);
        let side = GRID / 10;
        let (left, top) = (image.width() - MARGIN - 10 * side, image.height() - MARGIN - 10 * side);
        let at = |row: u32, column: u32| image.get_pixel(left + column * side + 1, top + row * side + 1);
        assert_eq!((at(0, 9), at(0, 0), at(0, 1)), (&shade(0.75), &shade(0.25), &WHITE));
        assert_eq!((at(9, 9), at(5, 3)), (&WHITE, &WHITE));
        assert_eq!(shade(1.0), FULL);
    }

    #[test]
    fn any_number_of_classes_can_be_drawn() {
        for classes in [1, 2, 13, 37, 100, 1000] {
            let image = chart(classes);
            assert!(image.pixels().any(|pixel| *pixel == BLACK), "{classes} classes have labels");
            assert!(image.height() < 2200, "{classes} classes: {} pixels high", image.height());
        }
    }
}
