//! A preview as one picture: a row for each image, the original with its boxes, then the views.

use image::Rgb;

use super::{Preview, Shown};
use crate::canvas::{BLACK, Canvas, LINE, WHITE, fitted, shortened};

/// Side of the square that an image is fitted into, in pixels.
const TILE: u32 = 224;
/// Pixels between things that belong together, and around a row.
const GAP: u32 = 8;
const MARGIN: u32 = 16;
/// Of a box and of the frame of what it shows.
const THICKNESS: u32 = 3;

const CARD: Rgb<u8> = Rgb([240, 240, 240]);
const FAINT: Rgb<u8> = Rgb([80, 80, 80]);
/// Colours of the first view, the second, and so on: those of `page.css`.
pub(super) const VIEWS: [Rgb<u8>; 7] = [
    Rgb([0, 114, 178]),
    Rgb([213, 94, 0]),
    Rgb([0, 128, 94]),
    Rgb([176, 80, 140]),
    Rgb([47, 143, 196]),
    Rgb([168, 110, 0]),
    Rgb([74, 74, 74]),
];

/// The picture.
pub fn sheet(preview: &Preview) -> Canvas {
    let views = preview.images.iter().map(|image| image.views.len()).max().unwrap_or(0) as u32;
    let inside = GAP + (1 + views) * (TILE + GAP);
    let heights: Vec<u32> = preview.images.iter().map(height).collect();
    let rows: u32 = heights.iter().map(|height| height + MARGIN).sum();
    let mut canvas = Canvas::new(inside + 2 * MARGIN, MARGIN + LINE + MARGIN + rows);
    let title = format!("step {}, epoch {}, seed {}", preview.step, preview.epoch, preview.seed);
    canvas.text(&title, (MARGIN, MARGIN), BLACK);
    let mut top = MARGIN + LINE + MARGIN;
    for (image, height) in preview.images.iter().zip(heights) {
        canvas.fill((MARGIN, top), (inside, height), CARD);
        draw(&mut canvas, (MARGIN + GAP, top + GAP), inside - 2 * GAP, image);
        top += height + MARGIN;
    }
    canvas
}

/// Of a row: a line, the images, a line for the number, the crop and each operation.
fn height(shown: &Shown) -> u32 {
    let lines = shown.views.iter().map(|view| view.operations.len() as u32 + 2).max().unwrap_or(0);
    GAP + LINE + TILE + GAP + lines * LINE + GAP
}

fn draw(canvas: &mut Canvas, (left, top): (u32, u32), width: u32, shown: &Shown) {
    let heading = shortened(format!("{} {}", shown.place, shown.class).trim_end(), width);
    canvas.text(&heading, (left, top), BLACK);
    let top = top + LINE;
    let original = fitted(&shown.original, TILE);
    let corner = centred((left, top), original.dimensions());
    canvas.fill((left, top), (TILE, TILE), WHITE);
    canvas.place(&original, corner);
    let scale = f64::from(original.width()) / f64::from(shown.original.width());
    let colors = VIEWS.iter().cycle();
    for ((number, view), color) in (1..).zip(&shown.views).zip(colors) {
        let [x, y, w, h] = view.shown.map(|length| (length * scale).round() as u32);
        canvas.outline((corner.0 + x, corner.1 + y), (w, h), THICKNESS, *color);
        let left = left + number * (TILE + GAP);
        let pixels = fitted(&view.pixels, TILE - 2 * THICKNESS);
        let (across, down) = pixels.dimensions();
        let (x, y) = centred((left, top), (across, down));
        canvas.outline(
            (x - THICKNESS, y - THICKNESS),
            (across + 2 * THICKNESS, down + 2 * THICKNESS),
            THICKNESS,
            *color,
        );
        canvas.place(&pixels, (x, y));
        let [x, y, w, h] = view.shown;
        let crop = [format!("view {number}"), format!("crop {w:.0} x {h:.0} at {x:.0}, {y:.0}")];
        let mut below = top + TILE + GAP;
        for line in crop.iter().chain(&view.operations) {
            canvas.text(&shortened(line, TILE), (left, below), FAINT);
            below += LINE;
        }
    }
}

/// Where something lies in the middle of a tile.
fn centred((left, top): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    (left + (TILE - width) / 2, top + (TILE - height) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview::tests::example;

    #[test]
    fn boxes_lie_where_the_views_look() {
        let image = sheet(&example()).into_image();
        // The original of 20 x 10 is drawn at 220 x 110, in the middle of its tile.
        let (left, top) = centred((MARGIN + GAP, 2 * MARGIN + LINE + GAP + LINE), (220, 110));
        let at = |x: u32, y: u32| *image.get_pixel(left + x, top + y);
        assert_eq!([at(0, 11), at(110, 11)], VIEWS[..2]);
        assert_eq!(at(40, 40), Rgb([30, 60, 200]), "inside of the box is the image");
    }
}
