//! What stands under the flags in the help of each command: examples.

pub(super) const PROGRAM: &str = "\
`simsiam COMMAND --help` lists a command's flags by topic, with defaults and examples.

Exit codes:
  0    done
  1    the run failed, or a check found a fault
  2    invalid input: nothing was started, or images proved unusable on the way
  130  interrupted; a training run has saved its state
  141  the output pipe was closed";

pub(super) const TRAIN: &str = "\
Examples:
  simsiam train                                            # the demo, on images that it draws
  simsiam train --shards photos/ --preset cifar10 --epochs 100
  simsiam train --shards photos/ --dry-run                 # memory, disk and time, without a run
  simsiam train --resume runs/001-cifar10-resnet18-cifar";

pub(super) const STUDY: &str = "\
Examples:
  simsiam study ablations --epochs 2 --out study/
  simsiam study methods --only byol,vicreg --seeds 3 --out study/";

pub(super) const SERVE: &str = "\
Examples:
  simsiam serve runs/
  simsiam serve runs/ --address 127.0.0.1:7000";

pub(super) const EVAL: &str = "\
Examples:
  simsiam eval runs/001-demo-resnet8
  simsiam eval runs/001-demo-resnet8 --checkpoint untrained,best,newest --only knn";

pub(super) const FINETUNE: &str = "\
Example:
  simsiam finetune runs/001-demo-resnet8 --labels 10% --from encoder,scratch";

pub(super) const REPORT: &str = "\
Example:
  simsiam report runs/001-demo-resnet8 runs/002-demo-resnet8 --out report.html";

pub(super) const RUNS: &str = "\
Examples:
  simsiam runs
  simsiam runs compare runs/001-demo-resnet8 runs/002-demo-resnet8";

pub(super) const EMBED: &str = "\
Example:
  simsiam embed runs/001-demo-resnet8 --shards photos/ --out features.npy";

pub(super) const EXPORT: &str = "\
Examples:
  simsiam export runs/001-demo-resnet8 --format torch --out encoder.safetensors
  simsiam export runs/001-demo-resnet8 --format onnx --out encoder.onnx";

pub(super) const IMPORT: &str = "\
Example:
  simsiam import encoder.safetensors --shards photos/ --run-dir runs/imported";

pub(super) const PACK: &str = "\
Example:
  simsiam pack photos/ shards/ --max-side 256 --quality 90";

pub(super) const UNPACK: &str = "\
Example:
  simsiam unpack shards/ images/ --format png";

pub(super) const INSPECT: &str = "\
Examples:
  simsiam inspect shards/ --verify
  simsiam inspect shards/ --duplicates runs/001-demo-resnet8 --contact-sheet pairs.png";

pub(super) const PREVIEW: &str = "\
Example:
  simsiam preview --shards photos/ --out sheet.html";

pub(super) const BENCH: &str = "\
Examples:
  simsiam bench --shards shards/
  simsiam bench --stage train --arch resnet8 --profile";

pub(super) const DOCTOR: &str = "\
Examples:
  simsiam doctor
  simsiam doctor --device cuda --precision f32";

pub(super) const COMPLETIONS: &str = "\
Example:
  simsiam completions bash > ~/.local/share/bash-completion/completions/simsiam";

pub(super) const MAN: &str = "\
Example:
  simsiam man ~/.local/share/man/man1";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::cli::Cli;

    #[test]
    fn every_command_has_an_example_that_parses() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let mut examples = 0;
            for line in help.lines().filter_map(|line| line.strip_prefix("  simsiam ")) {
                let line = line
                    .split([' '])
                    .take_while(|word| !["#", ">"].contains(word))
                    .filter(|word| !word.is_empty());
                let parsed = Cli::try_parse_from(std::iter::once("simsiam").chain(line));
                assert!(parsed.is_ok(), "{}: {}", command.get_name(), parsed.unwrap_err());
                examples += 1;
            }
            assert!(examples > 0, "{} has no example", command.get_name());
        }
    }
}
