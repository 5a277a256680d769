//! Images of the runs: views, nearest neighbours, and a map of features.

use std::fmt::Write;
use std::io::Cursor;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::codecs::jpeg::JpegEncoder;
use image::{RgbImage, imageops::thumbnail};
use serde_json::{Value, json};

use crate::canvas::png;
use crate::console::thousands;
use crate::evaluate::samples::{Sampled, Samples};
use crate::gallery::{Gallery, Neighbours};
use crate::html::Text;
use crate::preview::page::cards;

/// Side of a thumbnail on the map, in pixels.
const SIDE: u32 = 32;
/// Longer side of the pictures of neighbours, in pixels.
const LARGEST: u32 = 64;
/// Quality of the thumbnails' JPEG.
const QUALITY: u8 = 85;

/// The section of the page: of each run its name and its images.
pub(super) fn section(galleries: &[(&str, &Gallery)]) -> Result<String> {
    let mut html = String::from(
        "<section id=\"samples\">\n<h2>Samples</h2>\n<p class=\"hint\">Features are those of the backbone, compared by their cosine.</p>",
    );
    for (at, (name, gallery)) in galleries.iter().enumerate() {
        let checkpoint = Text(&gallery.checkpoint);
        write!(html, "<h3><bdi>{}</bdi>, {checkpoint}</h3>", Text(name))?;
        write!(
            html,
            "<div class=\"map\" data-map=\"{at}\"></div><h4>Nearest training images</h4>\
             <p class=\"hint\">Among {} training images; the number is the cosine similarity.</p>",
            thousands(gallery.neighbours.compared as u64)
        )?;
        write_neighbours(&mut html, &gallery.samples, &gallery.neighbours)?;
        for views in &gallery.views {
            write!(
                html,
                "<details class=\"views\"><summary>Views of step {}, epoch {}</summary>",
                views.step, views.epoch
            )?;
            html.push_str(&cards(&views.images)?);
            html.push_str("</details>");
        }
    }
    html.push_str("</section>\n");
    Ok(html)
}

/// A row for each image, with its neighbours; a mark tells whether they are of its class.
fn write_neighbours(html: &mut String, samples: &Samples, neighbours: &Neighbours) -> Result<()> {
    html.push_str("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Nearest training images\"><table class=\"neighbours\"><tbody>");
    for (image, found) in samples.images.iter().zip(&neighbours.of_sample) {
        write!(html, "<tr><th scope=\"row\">{}<bdi>{}</bdi></th>", picture(image)?, Text(&image.class))?;
        for neighbour in found {
            let other = &neighbour.image;
            let mark = match (image.class.is_empty(), image.class == other.class) {
                (true, _) => "",
                (false, true) => "<span class=\"good\">✓</span> ",
                (false, false) => "<span class=\"bad\">✗</span> ",
            };
            write!(
                html,
                "<td>{}{mark}<bdi>{}</bdi> {:.2}</td>",
                picture(other)?,
                Text(&other.class),
                neighbour.similarity
            )?;
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

fn picture(image: &Sampled) -> Result<String> {
    let small = if image.thumbnail.width().max(image.thumbnail.height()) > LARGEST {
        thumbnail(&image.thumbnail, LARGEST, LARGEST)
    } else {
        image.thumbnail.clone()
    };
    let place = Text(&image.place);
    Ok(format!("<img alt=\"{place}\" title=\"{place}\" src=\"{}\">", data_uri("image/png", &png(&small)?)))
}

/// What the script draws of each gallery: places on both maps, classes, and the thumbnails as one picture.
pub(super) fn maps(galleries: &[(&str, &Gallery)]) -> Result<Value> {
    galleries.iter().map(|(_, gallery)| map(gallery)).collect()
}

fn map(gallery: &Gallery) -> Result<Value> {
    let images = &gallery.samples.images;
    let mut classes: Vec<&str> = images.iter().map(|image| image.class.as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    let class = |image: &Sampled| classes.binary_search(&image.class.as_str()).unwrap_or_default();
    let (mosaic, columns) = gallery.samples.mosaic(SIDE);
    let points = |points: &[[f32; 2]]| points.iter().map(|point| point.map(short)).collect::<Vec<_>>();
    Ok(json!({
        "classes": classes,
        "class": images.iter().map(class).collect::<Vec<_>>(),
        "places": images.iter().map(|image| &image.place).collect::<Vec<_>>(),
        "kinds": [["t-SNE", points(&gallery.tsne)], ["PCA", points(&gallery.pca)]],
        "columns": columns, "side": SIDE, "thumbnails": jpeg(&mosaic)?,
    }))
}

/// Four digits, which is more than a screen shows.
fn short(value: f32) -> f64 {
    format!("{value:.3e}").parse().unwrap_or_default()
}

/// A picture as a JPEG.
fn jpeg(picture: &RgbImage) -> Result<String> {
    let mut file = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut file, QUALITY).encode_image(picture)?;
    Ok(data_uri("image/jpeg", file.get_ref()))
}

/// The picture of an unusable sample as the browser draws it, as far as that goes; `None` of what is no image by its first bytes.
pub(super) fn unusable(file: &[u8]) -> Option<String> {
    let kinds: [(&[u8], &str); 5] = [
        (b"\xff\xd8", "image/jpeg"),
        (b"\x89PNG", "image/png"),
        (b"GIF8", "image/gif"),
        (b"RIFF", "image/webp"),
        (b"BM", "image/bmp"),
    ];
    let (_, kind) = kinds.iter().find(|(magic, _)| file.starts_with(magic))?;
    Some(format!("<img class=\"unusable\" alt=\"what can be drawn of it\" src=\"{}\">", data_uri(kind, file)))
}

fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", BASE64.encode(bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::gallery::Neighbour;
    use crate::preview::tests::example;

    /// Three images in two classes, one with an odd name.
    pub(crate) fn gallery() -> Gallery {
        let image = |sample: u64, class: &str| Sampled {
            sample,
            place: format!("shard \"<b>.tar\", sample {sample}"),
            class: class.into(),
            thumbnail: RgbImage::from_pixel(8, 8, image::Rgb([200, 30, 40])),
        };
        let images = vec![image(0, "</script><b>"), image(1, "dog 🐕"), image(2, "dog 🐕")];
        let neighbour = |sample, class: &str| Neighbour { similarity: 0.75, image: image(sample, class) };
        let of_sample = vec![vec![neighbour(7, "</script><b>"), neighbour(8, "cat")]];
        Gallery {
            checkpoint: "step-000000009".into(),
            views: vec![example()],
            samples: Samples { dim: 1, features: vec![0.0, 1.0, 2.0], images },
            pca: vec![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
            tsne: vec![[0.5, 1.0], [2.5, 3.0], [4.5, 5.0]],
            neighbours: Neighbours { compared: 100, of_sample },
            unusable: [(3, b"\xff\xd8rest".to_vec())].into(),
        }
    }

    #[test]
    fn names_are_text_and_classes_are_numbered_once() {
        let gallery = gallery();
        let galleries = [("run <i>", &gallery)];
        let html = section(&galleries).unwrap();
        assert!(!html.contains("<b>") && !html.contains("<i>") && !html.contains("<script"), "{html}");
        for part in ["run &lt;i&gt;", "&lt;/script&gt;&lt;b&gt;", "0.75", "Views of step 12, epoch 2"] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!((html.matches('✓').count(), html.matches('✗').count()), (1, 1));
        let map = &maps(&galleries).unwrap()[0];
        assert_eq!(map["classes"], json!(["</script><b>", "dog 🐕"]));
        assert_eq!((&map["class"], &map["columns"]), (&json!([0, 1, 1]), &json!(2)));
        assert_eq!(map["kinds"][1], json!(["PCA", [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]]));
        assert!(map["thumbnails"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
    }

    #[test]
    fn only_what_begins_as_an_image_is_shown() {
        assert!(unusable(b"\xff\xd8\xff\xe0").unwrap().contains("data:image/jpeg;base64,/9j/4A=="));
        assert_eq!(unusable(b"<svg onload=alert(1)>"), None);
    }
}
