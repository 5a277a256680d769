use super::files::STATE;
use super::*;
use crate::config::Preset;
use crate::progress::Mean;

fn fingerprint(hash: u64) -> Fingerprint {
    format!("50000-{hash:016x}-ffffffffffffffff").parse().unwrap()
}

fn checkpoint(step: u64, best: Option<(f64, u64)>) -> Checkpoint {
    let mut interval_loss = Mean::default();
    interval_loss.add(-0.1 + step as f64 / 3.0);
    let tensor =
        |name: &str, data: Vec<f32>| NamedTensor { name: name.into(), shape: vec![data.len()], data };
    Checkpoint {
        state: RunState {
            format: FORMAT,
            config: TrainConfig::preset(Preset::Demo),
            data: Some(fingerprint(1)),
            counters: Counters { step, interval_loss, best_knn: best, ..Counters::default() },
            part: Some(Part::Kept { held_out: 5000 }),
            population: Some(u64::MAX),
            quarantine: Vec::new(),
            val: Some(ValState { data: fingerprint(2), quarantine: Vec::new() }),
            provenance: None,
        },
        model: vec![tensor("encoder.conv1.weight", vec![step as f32, -0.0, 1e-38])],
        optimizer: vec![tensor("encoder.conv1.weight", vec![1.5; 3])],
        probe: Vec::new(),
    }
}

#[test]
fn what_is_saved_is_read_back_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointDir::new(dir.path());
    assert!(checkpoints.newest().is_err());
    checkpoints.save(&checkpoint(7, None), 2).unwrap();
    let read = checkpoints.newest().unwrap();
    let (saved, bits) =
        (checkpoint(7, None), |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    assert_eq!(bits(&read.model[0].data), bits(&saved.model[0].data));
    assert_eq!(read.state.counters.interval_loss, saved.state.counters.interval_loss);
    assert_eq!((read.state.counters.step, read.state.data), (7, Some(fingerprint(1))));
    assert_eq!(read.state.config, saved.state.config);
    assert_eq!(read.state.val.unwrap().data, fingerprint(2));
}

#[test]
fn the_last_k_and_the_best_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointDir::new(dir.path());
    for step in 1..=6 {
        checkpoints.save(&checkpoint(step, Some((50.0, 2.min(step)))), 2).unwrap();
    }
    assert_eq!(checkpoints.steps().unwrap(), [2, 5, 6]);
    assert_eq!(checkpoints.best_step().unwrap(), 2);
    assert_eq!(checkpoints.model_at(5).unwrap().state.counters.step, 5);
    let error = checkpoints.model_at(4).err().unwrap().to_string();
    assert!(error.ends_with("has no checkpoint at step 4; it has: 2, 5, 6"), "{error}");
}

#[test]
fn the_best_is_kept_for_evaluation_only_once_newer_ones_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointDir::new(dir.path());
    checkpoints.save(&checkpoint(1, Some((50.0, 1))), 1).unwrap();
    assert_eq!(checkpoints.newest().unwrap().optimizer.len(), 1);
    checkpoints.save(&checkpoint(2, Some((50.0, 1))), 1).unwrap();
    assert!(!checkpoints.path(1).join(OPTIMIZER).exists());
    assert_eq!(checkpoints.model_at(1).unwrap().model[0].data[0], 1.0);
    // Where the newest is broken, the best can be evaluated, but not gone on from.
    fs::remove_file(checkpoints.path(2).join(MODEL)).unwrap();
    assert_eq!(checkpoints.newest_model().unwrap().state.counters.step, 1);
    let error = checkpoints.newest().err().unwrap().to_string();
    assert!(error.ends_with("holds no usable checkpoint"), "{error}");
}

#[test]
fn checkpoints_of_later_steps_go_with_the_next_save_and_crowd_out_none_before() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointDir::new(dir.path());
    for step in [5, 8, 9] {
        checkpoints.save(&checkpoint(step, None), 3).unwrap();
    }
    // 8 and 9 were broken, so the run went on from 5.
    checkpoints.save(&checkpoint(6, None), 2).unwrap();
    assert_eq!(checkpoints.steps().unwrap(), [5, 6]);
}

#[test]
fn a_checkpoint_cut_at_any_byte_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointDir::new(dir.path());
    checkpoints.save(&checkpoint(1, None), 2).unwrap();
    checkpoints.save(&checkpoint(2, None), 2).unwrap();
    for name in [MODEL, OPTIMIZER, STATE] {
        let path = checkpoints.path(2).join(name);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(checkpoints.newest().unwrap().state.counters.step, 1, "{name} cut to {length} bytes");
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(checkpoints.newest().unwrap().state.counters.step, 2);
}

#[test]
fn a_kill_between_the_steps_of_a_save_loses_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointDir::new(dir.path());
    let saved = |best| checkpoints.save(&checkpoint(3, best), 1).unwrap();
    let newest = || checkpoints.newest().unwrap().state.counters;
    let (path, names) = (checkpoints.path(3), || {
        let entries = fs::read_dir(&checkpoints.dir).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    });
    saved(None);
    // Killed after the old one stepped aside.
    fs::rename(&path, path.with_extension(REPLACED)).unwrap();
    assert_eq!((newest().step, newest().best_knn), (3, None));
    saved(Some((50.0, 3)));
    assert_eq!(newest().best_knn, Some((50.0, 3)));
    assert_eq!(names(), ["best.json", "step-000000003"]);
    // Killed before the old one was removed, and while another was filled.
    fs::create_dir(path.with_extension(REPLACED)).unwrap();
    fs::create_dir(checkpoints.dir.join("step-000000004.partial")).unwrap();
    assert_eq!(newest().best_knn, Some((50.0, 3)));
    checkpoints.save(&checkpoint(5, Some((60.0, 5))), 1).unwrap();
    assert_eq!(names(), ["best.json", "step-000000005"]);
}
