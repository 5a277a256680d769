//! A classifier that learns beside the encoder.

use crate::fixture::{Fixture, refused, simsiam, succeed};
use crate::interruption::resume;

#[test]
fn the_encoder_is_the_same_bits_with_and_without_it_and_a_resume_is_exact() {
    let fixture = Fixture::new();
    let flags = ["--epochs", "2", "--accumulate", "2"];
    succeed(&mut fixture.train("without", &flags));
    let printed = succeed(fixture.train("with", &flags).arg("--online-probe"));
    assert!(printed.contains("  probe ") && printed.contains(", online probe "), "{printed}");
    assert_eq!(fixture.weights("with", 24), fixture.weights("without", 24));

    let metrics = fixture.metrics("with");
    let (steps, epochs): (Vec<_>, Vec<_>) = metrics.iter().partition(|line| line.get("loss").is_some());
    assert!(
        steps
            .iter()
            .all(|line| line["probe_top1"].as_f64().is_some_and(|top1| (0.0..=100.0).contains(&top1)))
    );
    let of_epochs: Vec<_> = epochs.iter().filter_map(|line| line["probe_top1"].as_f64()).collect();
    assert!(matches!(of_epochs[..], [first, second] if second > first), "{of_epochs:?}");
    let mut same = metrics.clone();
    same.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("probe_top1")));
    assert_eq!(same, fixture.metrics("without"));

    for (run, has_chart) in [("with", true), ("without", false)] {
        let report = fixture.path(&format!("{run}.html"));
        succeed(simsiam().arg("report").arg(fixture.path(run)).arg("--out").arg(&report));
        let page = std::fs::read_to_string(&report).unwrap();
        assert_eq!(page.contains("\"key\":\"probe\""), has_chart, "{run}");
    }

    let probe = fixture.path("with/checkpoints/step-000000024/probe.safetensors");
    let whole = std::fs::read(&probe).unwrap();
    // As if it had been killed in its second epoch.
    std::fs::remove_dir_all(probe.parent().unwrap()).unwrap();
    let printed = succeed(resume(&fixture, "with").args(["--workers", "2"]));
    assert!(printed.contains("resumed after step 12"), "{printed}");
    assert_eq!((fixture.metrics("with"), std::fs::read(&probe).unwrap()), (metrics, whole));

    let printed = refused(resume(&fixture, "without").arg("--online-probe"));
    assert!(printed.contains("online_probe was false, now true"), "{printed}");
}

#[test]
fn images_without_labels_are_refused_before_there_is_a_folder() {
    let fixture = Fixture::new();
    let printed = refused(&mut fixture.train("run", &["--labels", "none", "--online-probe"]));
    assert!(
        printed.contains("error: --online-probe needs a label for every sample, but some in "),
        "{printed}"
    );
    assert!(!fixture.path("run").exists());
}
