//! What is printed, where it is not a terminal that is printed to.

use crate::fixture::{Fixture, refused, simsiam, succeed};

#[test]
fn plain_text_has_no_bars_and_no_colours_and_says_how_long_it_takes() {
    let fixture = Fixture::new();
    crate::fixture::damage(&fixture.shard(), 512); // so that there is a warning
    let flags = ["--epochs", "1", "--knn-every", "1", "--log-every", "5"];
    let printed = succeed(fixture.train("run", &flags).env("TERM", "xterm-256color"));
    assert!(!printed.contains(['\x1b', '\r']), "{printed:?}");
    assert!(printed.contains("WARN"), "{printed}");
    assert!(printed.contains("# the whole run takes about ") && printed.contains(": 1 epoch, 22 steps at "));
    assert!(printed.contains("epoch 1/1  step 5/22  loss "), "{printed}");
}

#[test]
fn the_log_has_levels_and_no_others() {
    let fixture = Fixture::new();
    let inspect = |level: &str| {
        let mut command = simsiam();
        command.arg("inspect").arg(fixture.path("val")).env("SIMSIAM_LOG", level);
        command
    };
    assert!(!succeed(&mut inspect("")).contains("indexed"));
    for level in ["debug", "INFO"] {
        std::fs::remove_file(fixture.path("val/val-000.tar.idx")).unwrap();
        let printed = succeed(&mut inspect(level));
        assert!(printed.contains("INFO ") && printed.contains("val-000.tar: indexed "), "{printed}");
    }
    for level in ["verbose", "3", "warning"] {
        let printed = refused(&mut inspect(level));
        let expected =
            format!("error: SIMSIAM_LOG={level}: must be one of off, error, warn, info, debug, trace\n");
        assert_eq!(printed, expected);
    }
}
