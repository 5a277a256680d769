#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| simsiam_pipeline::fuzz::tar(bytes));
