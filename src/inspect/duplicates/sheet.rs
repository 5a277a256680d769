//! Pairs side by side, on one picture.

use image::{Rgb, RgbImage};
use simsiam_pipeline::decode::Decoder;

use super::origin::ImageSet;
use super::report::{Duplicate, Kind, Pairs, Report};
use crate::canvas::{BLACK, Canvas, LINE, WHITE, fitted, shortened};
use crate::data::decoded;

/// Side of the square that an image is fitted into, in pixels.
const TILE: u32 = 160;
/// Pixels between things that belong together, and around a card.
const GAP: u32 = 8;
const MARGIN: u32 = 16;
/// A card has a line above its two images and two lines below each.
const CARD: (u32, u32) = (2 * TILE + 3 * GAP, TILE + 3 * LINE + 4 * GAP);
const COLUMNS: u32 = 4;

const CARD_COLOR: Rgb<u8> = Rgb([240, 240, 240]);
const FAINT: Rgb<u8> = Rgb([96, 96, 96]);
const WARNING: Rgb<u8> = Rgb([176, 0, 32]);

/// Draws at most `top` pairs of each list of a report, in the order and with the numbers of its text.
pub fn contact_sheet(report: &Report, top: usize, own: &ImageSet, val: Option<&ImageSet>) -> Canvas {
    let rows = |list: &Pairs| (list.pairs.len().min(top) as u32).div_ceil(COLUMNS);
    let heights = report.lists().map(|(_, list)| LINE + MARGIN + rows(list) * (CARD.1 + MARGIN));
    let mut canvas = Canvas::new(MARGIN + COLUMNS * (CARD.0 + MARGIN), MARGIN + heights.sum::<u32>());
    let mut decoder = Decoder::default();
    let mut above = MARGIN;
    for (kind, list, first) in report.numbered(top) {
        let val = val.unwrap_or(own);
        let (title, sets) = match kind {
            Kind::Leaks => ("validation and training", [val, own]),
            Kind::Train => ("training", [own, own]),
            Kind::Val => ("validation", [val, val]),
        };
        let shown = list.pairs.len().min(top);
        canvas.text(&format!("{title}: {shown} of {} pairs", list.pairs.len()), (MARGIN, above), BLACK);
        above += LINE + MARGIN;
        for (place, pair) in (0..).zip(&list.pairs[..shown]) {
            let mut image =
                |side: usize| decoded(&sets[side].source.shards, pair.images[side].sample, &mut decoder);
            let images = [image(0), image(1)];
            let left = MARGIN + place % COLUMNS * (CARD.0 + MARGIN);
            let corner = (left, above + place / COLUMNS * (CARD.1 + MARGIN));
            draw_pair(&mut canvas, corner, first + place as usize, pair, images);
        }
        above += rows(list) * (CARD.1 + MARGIN);
    }
    canvas
}

fn draw_pair(
    canvas: &mut Canvas,
    (left, top): (u32, u32),
    number: usize,
    pair: &Duplicate,
    images: [Option<RgbImage>; 2],
) {
    canvas.fill((left, top), CARD, CARD_COLOR);
    let heading = format!("{number}: {:.4} {:.2} {}", pair.similarity, pair.correlation, pair.remark());
    canvas.text(&heading, (left + GAP, top + GAP), BLACK);
    let top = top + GAP + LINE;
    let class_color = if pair.labels_differ() { WARNING } else { FAINT };
    for ((side, image), place) in (0..).zip(images).zip(&pair.images) {
        let left = left + GAP + side * (TILE + GAP);
        canvas.fill((left, top), (TILE, TILE), WHITE);
        if let Some(image) = image {
            let image = fitted(&image, TILE);
            let centred = (left + (TILE - image.width()) / 2, top + (TILE - image.height()) / 2);
            canvas.place(&image, centred);
        }
        canvas.text(&shortened(&place.at.key, TILE), (left, top + TILE + GAP), BLACK);
        canvas.text(&shortened(&place.class(), TILE), (left, top + TILE + GAP + LINE), class_color);
    }
}
