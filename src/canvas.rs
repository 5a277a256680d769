//! Pictures with text on them, such as charts and contact sheets, without a font file.

mod font;

use std::io::Cursor;

use anyhow::Result;
use image::imageops::{FilterType, replace, resize};
use image::{ImageFormat, Rgb, RgbImage};

use self::font::{HEIGHT, WIDTH, glyph};

/// White.
pub const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
/// Black.
pub const BLACK: Rgb<u8> = Rgb([0, 0, 0]);
/// From one letter's left edge to the next one's, at scale 1.
pub const LETTER: u32 = WIDTH + 1;
/// A letter's height, at scale 1.
pub const LETTER_HEIGHT: u32 = HEIGHT;

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

    /// Text from left to right, by its top left corner; a pixel of a letter is `scale` x `scale` pixels.
    pub fn text(&mut self, text: &str, (x, y): (u32, u32), scale: u32, color: Rgb<u8>) {
        self.glyphs(text, scale, color, |along, down| (x + along * scale, y + down * scale));
    }

    /// Text from below to above; (x, y) is where its top left corner comes to lie, at the bottom left.
    pub fn text_upwards(&mut self, text: &str, (x, y): (u32, u32), scale: u32, color: Rgb<u8>) {
        self.glyphs(text, scale, color, |along, down| (x + down * scale, y - (along + 1) * scale));
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

    /// `place` gives the corner of a glyph's pixel, `along` the line and `down` from its top.
    fn glyphs(&mut self, text: &str, scale: u32, color: Rgb<u8>, place: impl Fn(u32, u32) -> (u32, u32)) {
        for (index, character) in (0..).zip(text.chars()) {
            for (down, row) in (0..).zip(glyph(character)) {
                for along in (0..WIDTH).filter(|column| row >> (WIDTH - 1 - column) & 1 == 1) {
                    self.fill(place(index * LETTER + along, down), (scale, scale), color);
                }
            }
        }
    }
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

/// What fits into a line of `width` pixels, with letters of a scale: of a longer text beginning and end.
pub fn shortened(text: &str, width: u32, scale: u32) -> String {
    let most = (width / (LETTER * scale)) as usize;
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let (head, tail) = ((most - 2) / 2, (most - 2).div_ceil(2));
    let end = &characters[characters.len() - tail..];
    characters[..head].iter().chain(&['.', '.']).chain(end).collect()
}
