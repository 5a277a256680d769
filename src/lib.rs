//! Trains SimSiam and related self-supervised methods, directly from image files.
//!
//! The library behind the `simsiam` command. The code map, in reading order:
//!
//! - [`train`]: the training loop, top to bottom; [`schedule`]: its learning rates.
//! - [`config`]: a run's settings; [`data`], [`feed`]: its input; [`run_dir`], [`checkpoint`], [`tensor_file`]: its files.
//! - [`evaluate`]: kNN and the linear probe; [`finetune`]: classifiers from few labels; [`embed`]: features as files; [`weights`]: import and export of encoders.
//! - [`inspect`]: statistics of pixels, a recipe's steps, near-duplicates; [`preview`]: what training sees of the images;
//!   [`canvas`], [`html`]: pictures and pages with text.
//! - [`online_probe`]: a classifier trained along with the encoder; [`trace`]: what each thread does when.
//! - [`study`]: runs the rows of the paper's tables, at a small scale.
//! - [`progress`], [`metrics`], [`console`]: output for people and for programs.
//! - [`provenance`]: the program, machine and data that results come from.
//! - [`record`]: reads a run's files; [`report`]: runs as one HTML file; [`runs`]: lists and compares runs; [`serve`]: the
//!   live page; [`gallery`]: images for it; [`tensorboard`]: event files.
//! - [`world`]: the processes of a run, if several train together.
//! - [`dry_run`]: estimates of a run's cost; [`bench`](mod@bench), [`process`]: speed and memory of loader and model.
//! - [`device`]: the CPU or a GPU; [`doctor`]: checks the machine, and compares the two.
//! - [`cli`], [`commands`], [`error`], [`interrupt`]: the command line around it.
//! - [`demo`]: the small data set that `simsiam train` draws when it is given none.

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
mod files;
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
