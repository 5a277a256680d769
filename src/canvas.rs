//! Pictures with text on them, such as charts and contact sheets, without a font file.

use std::io::Cursor;

use anyhow::Result;
use image::imageops::{FilterType, replace, resize};
use image::{ImageFormat, Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// White.
pub const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
/// Black.
pub const BLACK: Rgb<u8> = Rgb([0, 0, 0]);
/// A letter's width, in pixels.
pub const LETTER: u32 = get_raster_width(FontWeight::Regular, RasterHeight::Size16) as u32;
/// From one line's top to the next one's, in pixels.
pub const LINE: u32 = RasterHeight::Size16.val() as u32 + 2;

/// A picture under way. Places are in pixels from its top left corner.
pub struct Canvas(RgbImage);

impl Canvas {
    /// A white canvas.
    pub fn new(width: u32, height: u32) -> Self {
        Self(RgbImage::from_pixel(width, height, WHITE))
    }

    /// A rectangle; what does not fit on the canvas is left out, and so it is with everything that is drawn.
    pub fn fill(&mut self, (left, top): (u32, u32), (width, height): (u32, u32), color: Rgb<u8>) {
        for y in top..(top + height).min(self.0.height()) {
            for x in left..(left + width).min(self.0.width()) {
                self.0.put_pixel(x, y, color);
            }
        }
    }

    /// The outline of a rectangle, `thickness` pixels inwards.
    pub fn outline(
        &mut self,
        (left, top): (u32, u32),
        (width, height): (u32, u32),
        thickness: u32,
        color: Rgb<u8>,
    ) {
        let (right, bottom) = (left + width, top + height);
        self.fill((left, top), (width, thickness), color);
        self.fill((left, bottom.saturating_sub(thickness)), (width, thickness), color);
        self.fill((left, top), (thickness, height), color);
        self.fill((right.saturating_sub(thickness), top), (thickness, height), color);
    }

    /// An image, by its top left corner.
    pub fn place(&mut self, image: &RgbImage, (left, top): (u32, u32)) {
        replace(&mut self.0, image, left.into(), top.into());
    }

    /// Text from left to right, by its top left corner; a letter that the font lacks is shown as `?`.
    pub fn text(&mut self, text: &str, (x, y): (u32, u32), color: Rgb<u8>) {
        self.glyphs(text, color, |along, down| (x + along, y + down));
    }

    /// Text from below to above; (x, y) is where its top left corner comes to lie, at the bottom left.
    pub fn text_upwards(&mut self, text: &str, (x, y): (u32, u32), color: Rgb<u8>) {
        self.glyphs(text, color, |along, down| (x + down, y - (along + 1)));
    }

    /// Width and height, in pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    /// The picture.
    pub fn into_image(self) -> RgbImage {
        self.0
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        png(&self.0)
    }

    /// `place` says where a glyph's pixel lies that is `along` the line and `down` from its top.
    fn glyphs(&mut self, text: &str, color: Rgb<u8>, place: impl Fn(u32, u32) -> (u32, u32)) {
        let glyph = |letter| get_raster(letter, FontWeight::Regular, RasterHeight::Size16);
        for (index, letter) in (0..).zip(text.chars()) {
            let Some(glyph) = glyph(letter).or_else(|| glyph('?')) else { continue };
            for (down, row) in (0..).zip(glyph.rows()) {
                for (along, &coverage) in (index * LETTER..).zip(row) {
                    let (x, y) = place(along, down);
                    if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
                        *pixel = mixed(*pixel, color, f64::from(coverage) / 255.0);
                    }
                }
            }
        }
    }
}

/// A colour between two: the `share` of `to` is from 0 to 1.
pub fn mixed(from: Rgb<u8>, to: Rgb<u8>, share: f64) -> Rgb<u8> {
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8;
    Rgb([0, 1, 2].map(|channel| mix(from.0[channel], to.0[channel])))
}

/// An image as a PNG file.
///
/// # Errors
/// If it cannot be encoded.
pub fn png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner())
}

/// An image as large as fits into a square of `side` pixels: a small one in whole multiples, pixel by pixel.
pub fn fitted(image: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    if longer <= side {
        let times = side / longer;
        return resize(image, width * times, height * times, FilterType::Nearest);
    }
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longer)).max(1) as u32;
    resize(image, scaled(width), scaled(height), FilterType::Triangle)
}

/// What fits into a line of `width` pixels: of a longer text beginning and end.
pub fn shortened(text: &str, width: u32) -> String {
    let most = (width / LETTER) as usize;
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let (head, tail) = ((most - 2) / 2, (most - 2).div_ceil(2));
    let end = &characters[characters.len() - tail..];
    characters[..head].iter().chain(&['.', '.']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> RgbImage {
        let mut canvas = Canvas::new(4 * LETTER, LINE);
        canvas.text(text, (0, 0), BLACK);
        canvas.into_image()
    }

    #[test]
    fn letters_are_told_apart_and_unknown_ones_are_question_marks() {
        assert_ne!(written("a"), written("A"));
        assert_ne!(written("\u{e9}"), written("?"), "Latin letters with accents are in the font");
        assert_eq!(written("\u{1f600}"), written("?"));
        assert_eq!(written("abcde"), written("abcd"), "what does not fit is left out");
    }

    #[test]
    fn text_upwards_is_text_turned() {
        let mut canvas = Canvas::new(LINE, 4 * LETTER);
        canvas.text_upwards("kNN", (0, 4 * LETTER), BLACK);
        assert_eq!(image::imageops::rotate90(&canvas.into_image()), written("kNN"));
    }
}
