//! What a run, its checkpoints and its exports say of where they come from.

use std::fs;

use serde_json::Value;

use crate::fixture::{Fixture, simsiam, succeed};
use crate::interruption::resume;

fn json(fixture: &Fixture, name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture.path(name)).unwrap()).unwrap()
}

#[test]
fn every_process_of_a_run_is_noted_and_a_checkpoint_names_its_own() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    succeed(resume(&fixture, "run").args(["--epochs", "2"]).env("SIMSIAM_INSTRUCTIONS", "scalar"));
    // With nothing left to train it is not one of the run's processes.
    succeed(&mut resume(&fixture, "run"));

    let noted = json(&fixture, "run/provenance.json");
    let [first, second] = &noted.as_array().unwrap()[..] else { panic!("{noted:#}") };
    assert_eq!((&first["step"], &second["step"]), (&0.into(), &25.into()));
    assert_eq!(second["instructions"], "scalar");
    assert!(second["command"].as_array().unwrap().contains(&"--resume".into()), "{second:#}");
    for process in [first, second] {
        for key in ["version", "commit", "compiler", "target", "processor", "instructions", "started", "data"]
        {
            assert!(process[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {process:#}");
        }
        assert!(process["cores"].as_u64().unwrap() > 0 && process["features"].is_array());
        assert!(humantime::parse_rfc3339(process["started"].as_str().unwrap()).is_ok());
    }
    for (step, process) in [(25, first), (50, second)] {
        let state = json(&fixture, &format!("run/checkpoints/step-{step:09}/state.json"));
        assert_eq!(state["state"]["provenance"], *process);
    }
}

#[test]
fn an_export_says_where_it_comes_from_and_names_no_folder() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    let (run, out) = (fixture.path("run"), fixture.path("encoder.safetensors"));
    let mut export = simsiam();
    export.arg("export").arg(&run).args(["--format", "torch", "--out"]).arg(&out);
    succeed(&mut export);
    let metadata = simsiam::tensor_file::metadata(&fs::read(&out).unwrap());
    for key in ["program", "compiler", "processor", "instructions", "cores", "started", "exported_by", "data"]
    {
        assert!(metadata.get(key).is_some_and(|text| !text.is_empty()), "{key} in {metadata:#?}");
    }
    assert!(metadata["command"].starts_with("simsiam train --preset demo"), "{}", metadata["command"]);
    assert!(metadata["program"].starts_with("simsiam 0.1.0 (commit "), "{}", metadata["program"]);
    let folder = run.parent().unwrap().to_str().unwrap();
    assert!(metadata.values().all(|text| !text.contains(folder)), "{metadata:#?}");
}

#[test]
fn a_run_without_provenance_can_be_gone_on_with() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    fs::remove_file(fixture.path("run/provenance.json")).unwrap();
    let state = fixture.path("run/checkpoints/step-000000025/state.json");
    let mut older: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    older["state"].as_object_mut().unwrap().remove("provenance");
    fs::write(&state, older.to_string()).unwrap();
    succeed(resume(&fixture, "run").args(["--epochs", "2"]));
    assert_eq!(json(&fixture, "run/provenance.json").as_array().unwrap().len(), 1);
}
