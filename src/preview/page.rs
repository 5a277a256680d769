//! A preview as an HTML page of one file, which needs no network.

use std::borrow::Cow;
use std::fmt::Write;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::RgbImage;
use simsiam_pipeline::augment::ViewGroup;

use super::sheet::VIEWS;
use super::{Preview, Shown, View};
use crate::canvas::{fitted, png};
use crate::html::Text;

/// Longer side of an original on the page, in pixels; larger ones are scaled down.
const LARGEST: u32 = 640;

const STYLE: &str = concat!(include_str!("page.css"), include_str!("cards.css"));

/// The page.
///
/// # Errors
/// If an image cannot be encoded.
pub fn page(preview: &Preview) -> Result<String> {
    let Preview { step, epoch, groups, seed, images } = preview;
    let views = ViewGroup::listed(groups).replace(" x ", " &times; ");
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Step {step}: what training sees</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>Step {step}, epoch {epoch}</h1>\n\
         <p>{} images, {views} each, seed {seed}: the bytes that training gets, before normalisation. \
         The boxes on an original are what its views show.</p>\n</header>\n<main>\n",
        images.len()
    );
    html.push_str(&cards(images)?);
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(html)
}

/// An article for each image: itself, with what its views show, and the views. `cards.css` goes with them.
///
/// # Errors
/// If an image cannot be encoded.
pub fn cards(images: &[Shown]) -> Result<String> {
    let mut html = String::new();
    images.iter().try_for_each(|image| write_card(&mut html, image))?;
    Ok(html)
}

fn write_card(html: &mut String, shown: &Shown) -> Result<()> {
    let (width, height) = shown.original.dimensions();
    let place = Text(&shown.place);
    write!(html, "<article>\n<h2>{place}")?;
    write!(
        html,
        " <span class=\"class\">{}</span></h2>\n<div class=\"row\">\n<figure class=\"original\"><div class=\"frame\">\
         <img alt=\"the original\" src=\"{}\"{}>",
        Text(&shown.class),
        data_uri(&scaled_down(&shown.original))?,
        pixelated(&shown.original),
    )?;
    write!(html, "<svg viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">")?;
    for (number, View { shown: [left, top, width, height], .. }) in shown.views.iter().enumerate() {
        write!(
            html,
            "<rect{} x=\"{left:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"/>",
            look("box", number)
        )?;
    }
    writeln!(html, "</svg></div><figcaption>{width} &times; {height} pixels</figcaption></figure>")?;
    for (number, view) in shown.views.iter().enumerate() {
        write_view(html, number, view)?;
    }
    html.push_str("</div>\n</article>\n");
    Ok(())
}

fn write_view(html: &mut String, number: usize, view: &View) -> Result<()> {
    let [left, top, width, height] = view.shown;
    write!(
        html,
        "<figure{}><img alt=\"view {}\" src=\"{}\"{}><figcaption><strong>view {}</strong>\
         <ol><li>crop {width:.0} &times; {height:.0} at {left:.0}, {top:.0}</li>",
        look("view", number),
        number + 1,
        data_uri(&view.pixels)?,
        pixelated(&view.pixels),
        number + 1,
    )?;
    for operation in &view.operations {
        write!(html, "<li>{}</li>", Text(operation))?;
    }
    html.push_str("</ol></figcaption></figure>\n");
    Ok(())
}

/// The attributes by which a view and its box are known: a colour, and a dashed line for every other one.
fn look(class: &str, number: usize) -> String {
    let odd = if number % 2 == 1 { " odd" } else { "" };
    format!(" class=\"{class}{odd}\" style=\"--view: var(--view-{})\"", number % VIEWS.len())
}

/// The attribute of images whose pixels are to be seen.
fn pixelated(image: &RgbImage) -> &'static str {
    if image.width().max(image.height()) <= 64 { " class=\"pixels\"" } else { "" }
}

fn scaled_down(image: &RgbImage) -> Cow<'_, RgbImage> {
    if image.width().max(image.height()) <= LARGEST {
        Cow::Borrowed(image)
    } else {
        Cow::Owned(fitted(image, LARGEST))
    }
}

/// A PNG that is part of the page.
fn data_uri(image: &RgbImage) -> Result<String> {
    Ok(format!("data:image/png;base64,{}", BASE64.encode(png(image)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview::tests::example;

    #[test]
    fn a_page_holds_everything_and_escapes_names() {
        let html = page(&example()).unwrap();
        for part in [
            "<h1>Step 12, epoch 2</h1>",
            "<p>1 images, 2 views of 4 &times; 4 each",
            "shard a&lt;b&gt;.tar, sample 3 &quot;x &amp; y&quot;",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "<svg viewBox=\"0 0 20 10\"",
            "<rect class=\"box odd\" style=\"--view: var(--view-1)\" x=\"10.00\" y=\"1.00\" width=\"8.00\" height=\"6.00\"/>",
            "<li>horizontal flip</li>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<script"), "nothing runs");
        assert!(!html.contains("http"), "nothing is fetched");
    }

    #[test]
    fn large_originals_are_scaled_down() {
        assert_eq!(scaled_down(&RgbImage::new(4000, 1000)).dimensions(), (640, 160));
        assert_eq!(scaled_down(&RgbImage::new(32, 32)).dimensions(), (32, 32));
    }
}
