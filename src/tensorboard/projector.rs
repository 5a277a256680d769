//! The embedding projector's files: features, labels, and thumbnails as one picture.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use crate::canvas::png;
use crate::evaluate::samples::Samples;
use crate::files::write_whole;

/// Side of a thumbnail, in pixels.
const SIDE: u32 = 32;

/// Writes the files; each appears whole. The projector shows them under the run's name.
pub(super) fn write(dir: &Path, samples: &Samples) -> Result<()> {
    if samples.images.is_empty() {
        return Ok(());
    }
    let config = format!(
        "embeddings {{\n  tensor_name: \"features\"\n  tensor_path: \"features.tsv\"\n  metadata_path: \"metadata.tsv\"\n  \
         sprite {{\n    image_path: \"sprite.png\"\n    single_image_dim: {SIDE}\n    single_image_dim: {SIDE}\n  }}\n}}\n"
    );
    let files = [
        ("features.tsv", features(samples).into_bytes()),
        ("metadata.tsv", metadata(samples).into_bytes()),
        ("sprite.png", png(&samples.mosaic(SIDE).0)?),
        ("projector_config.pbtxt", config.into_bytes()),
    ];
    for (name, bytes) in files {
        let path = dir.join(name);
        write_whole(&path, &bytes)?;
    }
    Ok(())
}

/// A line for each image, numbers between tabs.
fn features(samples: &Samples) -> String {
    let mut text = String::new();
    for row in samples.features.chunks_exact(samples.dim) {
        for (at, value) in row.iter().enumerate() {
            let tab = if at == 0 { "" } else { "\t" };
            write!(text, "{tab}{value}").expect("a string can be written to");
        }
        text.push('\n');
    }
    text
}

/// A heading, and a line for each image.
fn metadata(samples: &Samples) -> String {
    let plain = |text: &str| text.replace(['\t', '\n', '\r'], " ");
    let lines =
        samples.images.iter().map(|image| format!("{}\t{}\n", plain(&image.class), plain(&image.place)));
    std::iter::once("class\tplace\n".to_owned()).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::evaluate::samples::Sampled;

    #[test]
    fn each_image_has_a_line_a_row_and_a_tile() {
        let dir = tempfile::tempdir().unwrap();
        let image = |class: &str, value: u8| Sampled {
            sample: 0,
            place: "shard a.tar, sample 3 \"x\ty\"".into(),
            class: class.into(),
            thumbnail: RgbImage::from_pixel(8, 8, image::Rgb([value; 3])),
        };
        let images = vec![image("cat", 10), image("dog", 20), image("", 30)];
        let samples = Samples { dim: 2, features: vec![0.5, 1.0, -2.0, 0.0, 3.0, 4.0], images };
        write(dir.path(), &samples).unwrap();
        let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(text("features.tsv"), "0.5\t1\n-2\t0\n3\t4\n");
        assert_eq!(text("metadata.tsv").lines().nth(1).unwrap(), "cat\tshard a.tar, sample 3 \"x y\"");
        assert_eq!(text("metadata.tsv").lines().count(), 4);
        assert!(text("projector_config.pbtxt").contains("sprite.png"));
        let sprite = image::open(dir.path().join("sprite.png")).unwrap().to_rgb8();
        assert_eq!((sprite.dimensions(), sprite[(40, 5)].0[0], sprite[(5, 40)].0[0]), ((64, 64), 20, 30));
    }
}
