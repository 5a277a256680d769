//! `SIMSIAM_INSTRUCTIONS`: every set does the work that all do, and what cannot be had is refused.

use crate::fixture::{Fixture, refused, simsiam, succeed};

#[test]
fn a_set_that_the_processor_has_is_used_and_any_other_is_refused() {
    let fixture = Fixture::new();
    let inspect = |set: &str| {
        let mut command = simsiam();
        command.arg("inspect").arg(fixture.path("val")).arg("--verify").env("SIMSIAM_INSTRUCTIONS", set);
        command
    };
    assert!(succeed(&mut inspect("scalar")).contains("50"));
    for set in ["sse", "AVX2", ""] {
        let printed = refused(&mut inspect(set));
        let expected =
            format!("error: SIMSIAM_INSTRUCTIONS={set}: must be scalar, avx2, avx512, avx512bf16 or amx");
        assert!(printed.contains(&expected), "{printed}");
    }
}

#[test]
fn bf16_without_amx_is_said_to_save_memory_only() {
    let fixture = Fixture::new();
    let mut train = fixture.train("run", &["--precision", "bf16", "--epochs", "1", "--limit", "16"]);
    let printed = succeed(train.env("SIMSIAM_INSTRUCTIONS", "scalar"));
    assert!(printed.contains("# --precision bf16 saves memory on this processor, not time"), "{printed}");
}
