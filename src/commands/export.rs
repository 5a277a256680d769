//! `simsiam export`: a run's encoder for other programs.

use anyhow::Result;

use crate::cli::ExportArgs;
use crate::console::{Console, counted};
use crate::error::InputError;
use crate::evaluate::subject::Subject;
use crate::files::write_whole;
use crate::provenance::Provenance;
use crate::weights::{EncoderWeights, WeightFormat, onnx};

/// Writes the file, and says what it holds.
///
/// # Errors
/// If the run cannot be read, or the file cannot be written.
pub fn run(args: &ExportArgs, console: &Console) -> Result<()> {
    args.format.check_name(&args.out)?;
    let subject = Subject::load(&args.run, args.checkpoint)?;
    let network = subject.network()?;
    let mut encoder = EncoderWeights::new(&subject.config, &network, &subject.to_string());
    encoder.metadata.extend(subject.facts());
    encoder.metadata.push(("exported_by".into(), Provenance::now().program()));
    let own = encoder.metadata.len();
    for (key, text) in &args.metadata {
        if let Some(at) = encoder.metadata.iter().position(|(taken, _)| taken == key) {
            let why =
                if at < own { "is written by the program; choose another key" } else { "is given twice" };
            return Err(InputError::new(format!("--metadata {key}: {why}")).into());
        }
        encoder.metadata.push((key.clone(), text.clone()));
    }
    let bytes = match args.format {
        WeightFormat::Torch => encoder.to_safetensors()?,
        WeightFormat::Onnx => onnx::encode(&encoder),
    };
    write_whole(&args.out, &bytes)?;
    console.line(format_args!(
        "the {} encoder of {subject}, {}, {:.1} MB, in {}",
        encoder.arch,
        counted(encoder.tensors.len() as u64, "tensor"),
        bytes.len() as f64 / 1e6,
        args.out.display()
    ));
    Ok(())
}
