//! Trains SimSiam, self-supervised, straight from JPEG shards.
//!
//! The library behind the `simsiam` command. The code map, in reading order:
//!
//! - [`train`]: the training loop, top to bottom; [`schedule`]: its learning rates.
//! - [`config`]: what a run is made of; [`data`], [`feed`]: what it reads; [`run_dir`], [`checkpoint`], [`tensor_file`]: what it leaves.
//! - [`evaluate`]: kNN and the linear probe; [`finetune`]: classifiers from few labels; [`embed`]: features as files; [`weights`]: encoders for and from other programs.
//! - [`inspect`]: what is in shards beyond counts: the pixels' statistics, a recipe's steps, near-duplicates; [`preview`]: what training sees of
//!   them; [`canvas`], [`html`]: pictures and pages with text.
//! - [`online_probe`]: a classifier that learns beside the encoder; [`trace`]: what each thread does when.
//! - [`study`]: many runs in turn, the paper's tables in small.
//! - [`progress`], [`metrics`], [`console`]: what a person and a program are told.
//! - [`provenance`]: what program, machine and data results come from.
//! - [`record`]: a run read back; [`report`]: runs as one HTML file; [`runs`]: runs listed and compared; [`serve`]: the
//!   page live; [`gallery`]: images for it; [`tensorboard`]: event files.
//! - [`world`]: the processes of a run, where several train together.
//! - [`dry_run`]: what a run would take; [`bench`](mod@bench), [`process`]: how fast loader and model are, and what they take.
//! - [`device`]: the CPU or a GPU; [`doctor`]: what a machine has, and whether the two agree.
//! - [`cli`], [`commands`], [`error`], [`interrupt`]: the command line around it.
//! - [`demo`]: the small data set that `simsiam train` makes when it is given none.

pub mod bench;
pub mod canvas;
pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod data;
pub mod demo;
pub mod device;
pub mod doctor;
pub mod dry_run;
pub mod embed;
pub mod error;
pub mod evaluate;
pub mod feed;
pub mod finetune;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod gallery;
pub mod health;
pub mod html;
pub mod inspect;
pub mod instructions;
pub mod interrupt;
pub mod metrics;
pub mod online_probe;
pub mod preview;
pub mod process;
pub mod progress;
pub mod provenance;
pub mod record;
pub mod report;
pub mod run_dir;
pub mod runs;
pub mod schedule;
pub mod serve;
pub mod study;
pub mod tensor_file;
pub mod tensorboard;
pub mod trace;
pub mod train;
pub mod weights;
pub mod world;
