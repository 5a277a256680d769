//! An event file: records that are appended, each of them whole.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prost::Message;

use super::histogram::histogram;
use super::proto::{Event, Image, SessionLog, Summary, Tagged, Value, What};
use super::record::record;
use crate::canvas::Canvas;

/// `SessionLog.START`.
const START: i32 = 1;

/// A file that is being written.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file; TensorBoard reads the files of a folder in the order of their names.
    pub(super) fn create(dir: &Path, step: u64) -> Result<Self> {
        let name = format!("events.out.tfevents.{:010}.{}.simsiam", now_s() as u64, std::process::id());
        let path = dir.join(name);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot make {}", path.display()))?;
        let mut events = Self { path, file };
        events.write(0, What::FileVersion("brain.Event:2".into()))?;
        // What is logged next has a later step; the purge begins with the step that is named.
        events.write(step + 1, What::SessionLog(SessionLog { status: START }))?;
        Ok(events)
    }

    pub(super) fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<()> {
        let value = |(tag, value): &(&str, f64)| tagged(tag, Value::Simple(*value as f32));
        self.summary(step, scalars.iter().map(value).collect())
    }

    pub(super) fn histogram(&mut self, step: u64, tag: &str, values: &[f64]) -> Result<()> {
        let histogram = histogram(values).map(|histogram| tagged(tag, Value::Histogram(histogram)));
        self.summary(step, histogram.into_iter().collect())
    }

    pub(super) fn image(&mut self, step: u64, tag: &str, canvas: &Canvas) -> Result<()> {
        let (width, height) = canvas.dimensions();
        let image = Image {
            height: height as i32,
            width: width as i32,
            colorspace: 3,
            encoded_image_string: canvas.to_png()?,
        };
        self.summary(step, vec![tagged(tag, Value::Image(image))])
    }

    fn summary(&mut self, step: u64, value: Vec<Tagged>) -> Result<()> {
        if value.is_empty() { Ok(()) } else { self.write(step, What::Summary(Summary { value })) }
    }

    fn write(&mut self, step: u64, what: What) -> Result<()> {
        let event = Event { wall_time: now_s(), step: step as i64, what: Some(what) };
        let written = self.file.write_all(&record(&event.encode_to_vec()));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn tagged(tag: &str, value: Value) -> Tagged {
    Tagged { tag: tag.to_owned(), value: Some(value) }
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensorboard::record::messages;

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(dir.path(), 20).unwrap();
        events.scalars(30, &[("train/loss", -0.5), ("train/lr", 0.25)]).unwrap();
        events.histogram(30, "gradients/norm", &[1.0, 3.0]).unwrap();
        events.histogram(30, "gradients/norm", &[]).unwrap();
        events.image(30, "views", &Canvas::new(4, 2)).unwrap();
        let found: Vec<Event> = messages(&std::fs::read(&events.path).unwrap())
            .iter()
            .map(|message| Event::decode(&message[..]).unwrap())
            .collect();
        assert_eq!(found.iter().map(|event| event.step).collect::<Vec<_>>(), [0, 21, 30, 30, 30]);
        assert_eq!(found[0].what, Some(What::FileVersion("brain.Event:2".into())));
        assert_eq!(found[1].what, Some(What::SessionLog(SessionLog { status: 1 })));
        let values = |at: usize| match &found[at].what {
            Some(What::Summary(summary)) => summary.value.clone(),
            what => panic!("{what:?}"),
        };
        assert_eq!(
            values(2),
            [tagged("train/loss", Value::Simple(-0.5)), tagged("train/lr", Value::Simple(0.25))]
        );
        assert!(matches!(&values(3)[0].value, Some(Value::Histogram(found)) if found.num == 2.0));
        let Some(Value::Image(image)) = &values(4)[0].value else { panic!("{:?}", values(4)) };
        assert_eq!((image.width, image.height), (4, 2));
        assert!(image.encoded_image_string.starts_with(b"\x89PNG"));
    }
}
