//! The `simsiam` command.

fn main() {}
