//! `simsiam eval` and `simsiam embed` on a small run.

use std::fs;
use std::path::Path;
use std::process::Command;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::fixture::{Fixture, damage, refused, simsiam, succeed, text};

/// A run of one epoch (25 steps) on 200 images.
fn trained() -> Fixture {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    fixture
}

fn eval(fixture: &Fixture, more: &[&str]) -> Command {
    let mut command = simsiam();
    command.arg("eval").arg(fixture.path("run")).arg("--val-shards").arg(fixture.path("val"));
    command.args(["--probe-epochs", "5"]).args(more);
    command
}

fn embed(fixture: &Fixture, out: &str, more: &[&str]) -> Command {
    let mut command = simsiam();
    command.arg("embed").arg(fixture.path("run")).arg("--out").arg(fixture.path(out)).args(more);
    command
}

fn reports(printed: &str) -> Vec<Value> {
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Ten labels for twenty images in one folder.
fn half_labelled() -> Fixture {
    let fixture = Fixture::new();
    let (flat, mut table, mut list) = (fixture.path("flat"), String::new(), String::new());
    fs::create_dir_all(&flat).unwrap();
    for (class, folder) in ["dots", "rings"].into_iter().enumerate() {
        for number in 0..10 {
            let name = format!("{folder}-{number}.jpg");
            fs::copy(fixture.path(&format!("images/train/{folder}/{number:05}.jpg")), flat.join(&name))
                .unwrap();
            if number < 5 {
                table += &format!("flat/{name},{class}\n");
                list += &format!("{folder}-{number}\n");
            }
        }
    }
    fs::write(fixture.path("half.csv"), table).unwrap();
    fs::write(fixture.path("list.txt"), list).unwrap();
    fixture
}

#[test]
fn images_without_a_label_are_trained_on_and_not_evaluated_on() {
    let fixture = half_labelled();
    let train = |run: &str, more: &[&str]| {
        let mut command = simsiam();
        command.args([
            "train",
            "--preset",
            "demo",
            "--batch-size",
            "4",
            "--epochs",
            "1",
            "--labels",
            "half.csv",
        ]);
        command.args(["--shards", "flat", "--run-dir", run]).args(more).current_dir(fixture.path(""));
        command
    };
    let printed = succeed(&mut train("run", &[]));
    let said = "no kNN: it needs --val-shards with labels, or a label for every sample of flat, but 10 of 20 have one";
    assert!(printed.contains(said) && printed.contains("20 images to train on"), "{printed}");
    let eval = |run: &str, more: &[&str]| {
        succeed(simsiam().args(["eval", run, "--only", "knn"]).args(more).current_dir(fixture.path("")))
    };
    let printed = eval("run", &[]);
    assert!(printed.contains("evaluated on the 10 of 20 samples that have a label"), "{printed}");
    assert!(printed.contains("9 images of 2 classes to learn from, 1 to classify"), "{printed}");
    let reports = names(&fixture.path("run/eval"));
    assert!(reports.iter().all(|name| name.contains("-chosen-")), "{reports:?}");

    let printed = succeed(&mut train("chosen", &["--select", "key in list.txt"]));
    assert!(printed.contains("kNN: 9 neighbours, 1 query") && !printed.contains("no kNN"), "{printed}");
    // The list is found from any folder.
    let (chosen, elsewhere) = (fixture.path("chosen"), fixture.path("images"));
    let printed = succeed(simsiam().args(["eval", "--only", "knn"]).arg(&chosen).current_dir(&elsewhere));
    assert!(printed.contains("9 images of 2 classes to learn from, 1 to classify"), "{printed}");
    let printed = succeed(&mut train("val", &["--val-shards", "flat"]));
    assert!(printed.contains("kNN: 10 neighbours, 10 queries"), "{printed}");
    // The samples that a plan times have labels too.
    succeed(&mut train("dry", &["--val-shards", "flat", "--dry-run"]));
}

#[test]
fn both_judges_report_every_number_and_a_second_run_gives_the_same() {
    let fixture = trained();
    let flags = ["--checkpoint", "untrained,newest", "--json"];
    let printed = succeed(&mut eval(&fixture, &flags));
    let reports = reports(&printed);
    assert_eq!(reports.len(), 4, "{printed}");
    for report in &reports {
        assert_eq!((&report["arch"], &report["dim"]), (&"resnet8".into(), &64.into()));
        assert_eq!((&report["train"]["samples"], &report["val"]["samples"]), (&200.into(), &50.into()));
        let scores = &report["scores"];
        let rows: Vec<Vec<u64>> = serde_json::from_value(scores["confusion"].clone()).unwrap();
        assert!(rows.iter().all(|row| row.iter().sum::<u64>() == 5), "{scores}");
        let hits: u64 = (0..10).map(|class| rows[class][class]).sum();
        assert_eq!(scores["top1"].as_f64().unwrap(), 100.0 * hits as f64 / 50.0);
        assert!(scores["top5"].as_f64().unwrap() >= scores["top1"].as_f64().unwrap());
        let classes = scores["per_class"].as_array().unwrap();
        assert_eq!((classes.len(), &classes[0]["samples"]), (10, &5.into()));
        assert!(classes[0]["name"].is_string(), "{scores}");
    }
    assert_eq!((&reports[0]["method"], &reports[0]["k"]), (&"knn".into(), &20.into()));
    let probe = &reports[3];
    assert_eq!((&probe["method"], &probe["checkpoint"]), (&"probe".into(), &"step-000000025".into()));
    assert_eq!(probe["trials"].as_array().unwrap().len(), 3);
    assert_eq!(probe["trials"][0]["history"].as_array().unwrap().len(), 5);
    assert_eq!(probe["recipe"]["batch_size"], 200);

    let files = names(&fixture.path("run/eval"));
    assert_eq!(files.len(), 8, "{files:?}");
    let fingerprint = |part: &str| {
        let fingerprint = probe[part]["fingerprint"].as_str().unwrap();
        fingerprint.parse::<simsiam_pipeline::shards::Fingerprint>().unwrap().short()
    };
    let data = format!("train-{}-val-{}", fingerprint("train"), fingerprint("val"));
    let saved = format!(
        "run/eval/step-000000025-probe-backbone-sgd-e5-b200-lr30+3+0.3-cosine-cached-seed0-{data}.json"
    );
    let saved = fs::read_to_string(fixture.path(&saved)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&saved).unwrap(), *probe);
    image::open(fixture.path(&format!("run/eval/untrained-knn-backbone-k20-t0.1-{data}.png"))).unwrap();

    let workers = ["--workers", "2"];
    let mut again = eval(&fixture, &[&flags[..], &workers].concat());
    assert_eq!(succeed(again.env("RAYON_NUM_THREADS", "1")), printed);
    assert_eq!(names(&fixture.path("run/eval")), files, "the same results need no other files");
}

/// kNN alone, on these validation shards.
fn knn(fixture: &Fixture, val: &[&Path], more: &[&str]) -> String {
    let mut command = simsiam();
    command.arg("eval").arg(fixture.path("run")).args(["--only", "knn", "--val-shards"]).args(val);
    succeed(command.args(more))
}

#[test]
fn no_result_overwrites_another() {
    let fixture = trained();
    let (val, train) = (fixture.path("val"), fixture.path("train"));
    let files = |val: &Path, more: &[&str]| {
        knn(&fixture, &[val], more);
        let names = names(&fixture.path("run/eval"));
        names.into_iter().filter(|name| name.ends_with(".json")).collect::<Vec<_>>()
    };
    let first = files(&val, &[]);
    let path = fixture.path("run/eval").join(&first[0]);
    fs::write(&path, "{}").unwrap();
    let second = files(&val, &[]);
    assert_eq!((first.len(), second.len()), (1, 2), "{second:?}");
    assert!(second.iter().any(|name| name.ends_with("-2.json")), "{second:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
    assert_eq!(files(&val, &["--knn-k", "5"]).len(), 3);
    assert_eq!(files(&train, &[]).len(), 4);
}

#[test]
fn results_are_printed_also_where_they_cannot_be_saved() {
    let fixture = trained();
    for name in ["eval", "finetune"] {
        fs::write(fixture.path("run").join(name), "no folder").unwrap();
    }
    let val = fixture.path("val");
    let output = eval(&fixture, &["--checkpoint", "untrained,newest"]).output().unwrap();
    let printed = text(&output);
    assert!(!output.status.success() && printed.contains("run/eval"), "{printed}");
    assert_eq!(printed.matches("knn    top-1").count(), 2, "{printed}");
    assert_eq!(printed.matches("probe  top-1").count(), 2, "{printed}");
    let mut finetune = simsiam();
    finetune
        .arg("finetune")
        .arg(fixture.path("run"))
        .args(["--labels", "50%", "--epochs", "1", "--seeds", "1"]);
    let output = finetune.args(["--batch-size", "16", "--val-shards"]).arg(&val).output().unwrap();
    let printed = text(&output);
    assert!(!output.status.success() && printed.contains("from encoder  100 labels"), "{printed}");
}

#[test]
fn a_validation_set_from_the_training_set_is_warned_of() {
    let fixture = trained();
    let (val, part) = (fixture.path("val"), fixture.path("part.tar"));
    fs::copy(fixture.shard(), &part).unwrap();
    for from_train in [&fixture.path("train"), &part] {
        let printed = knn(&fixture, &[from_train], &[]);
        assert!(printed.contains("the validation set is a part of the training set"), "{printed}");
    }
    let printed = knn(&fixture, &[&val, &part], &[]);
    assert!(printed.contains("validation images are training images, too"), "{printed}");
    assert!(!knn(&fixture, &[&val], &[]).contains("training images, too"));
    let flags = ["--epochs", "1", "--knn-every", "1", "--val-shards", part.to_str().unwrap()];
    let printed = succeed(&mut fixture.train("monitored", &flags));
    assert!(printed.contains("the validation set is a part of the training set"), "{printed}");
}

#[test]
fn a_person_reads_a_line_for_each_result() {
    let fixture = trained();
    // The projector's output, LARS, new crops each epoch, and a tenth of the training data held out.
    let mut command = simsiam();
    command.arg("eval").arg(fixture.path("run/checkpoints/step-000000025"));
    command.args(["--features", "projector", "--probe-recipe", "lars", "--probe-features", "augmented"]);
    let printed = succeed(command.args(["--probe-epochs", "2", "--probe-lr", "1"]));
    for part in [
        "180 images of 10 classes to learn from, 20 to classify",
        "kNN: k = 20",
        "LARS, 2 epochs, batch 180, learning rate 1 at 256, cosine, augmented views",
        "step-000000025 knn    top-1",
        "step-000000025 probe  top-1",
        "best top-1",
        "step-000000025-probe-projector-lars-e2-b180-lr1-cosine-augmented-seed0-train-",
        "-val-held-out.json",
    ] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
}

#[test]
fn embeddings_have_a_row_a_label_and_a_key_for_each_usable_sample() {
    let fixture = trained();
    damage(&fixture.shard(), 512);
    // It is no longer what the run was trained on.
    let folder = fixture.path("train");
    let shards = ["--shards", folder.to_str().unwrap()];
    let printed = succeed(&mut embed(&fixture, "features.safetensors", &shards));
    assert!(printed.contains("199 embeddings of 64 values"), "{printed}");
    assert!(printed.contains("left out: 1 unusable sample"), "{printed}");
    let bytes = fs::read(fixture.path("features.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let [features, labels, keys] = ["features", "labels", "keys"].map(|name| tensors.tensor(name).unwrap());
    assert_eq!((features.shape(), labels.shape()), (&[199, 64][..], &[199][..]));
    let text = std::str::from_utf8(keys.data()).unwrap();
    assert_eq!(text.split('\n').count(), 199);
    assert!(
        labels.data().as_chunks::<8>().0.iter().all(|label| (0..10).contains(&i64::from_le_bytes(*label)))
    );

    succeed(&mut embed(&fixture, "features.npy", &[&shards[..], &["--workers", "2"]].concat()));
    assert_eq!(fs::read(fixture.path("features.npy")).unwrap()[128..], *features.data());
    assert_eq!(fs::read(fixture.path("features.labels.npy")).unwrap()[128..], *labels.data());
    assert_eq!(fs::read_to_string(fixture.path("features.keys.txt")).unwrap(), format!("{text}\n"));
    let left: Vec<String> =
        names(&fixture.path("")).into_iter().filter(|name| name.contains("tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_runs_choice_is_for_its_own_images_and_a_file_has_no_projector() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1", "--limit", "80"]));
    let [train, val] = ["train", "val"].map(|name| fixture.path(name).to_str().unwrap().to_owned());
    for (shards, expected) in [
        (vec![], "80 embeddings"),
        (vec!["--shards", &train], "80 embeddings"),
        (vec!["--shards", &val], "50 embeddings"),
        (vec!["--shards", &val, "--limit", "20"], "20 embeddings"),
    ] {
        let printed = succeed(&mut embed(&fixture, "features.npy", &shards));
        assert!(printed.contains(expected), "{shards:?}: {printed}");
    }
    let untrained = ["--shards", &val, "--checkpoint", "untrained"];
    let printed = succeed(&mut embed(&fixture, "untrained.npy", &untrained));
    assert!(printed.contains("50 embeddings"), "{printed}");
    let others = ["--train-shards", &val, "--checkpoint", "untrained,newest", "--json"];
    let output = eval(&fixture, &others).output().unwrap();
    let report = &reports(&String::from_utf8(output.stdout).unwrap())[0];
    assert_eq!(report["train"]["samples"], 50, "also where the untrained network comes first");
    let file = fixture.path("encoder.safetensors");
    let mut export = simsiam();
    export.arg("export").arg(fixture.path("run")).args(["--format", "torch", "--out"]).arg(&file);
    succeed(&mut export);
    let mut embed = simsiam();
    embed.arg("embed").arg(&file).args(["--shards", &val, "--features", "projector", "--out"]);
    let printed = refused(embed.arg(fixture.path("projected.npy")));
    assert!(printed.contains("encoder holds no projector of simsiam"), "{printed}");
}

#[test]
fn what_cannot_work_is_refused_and_leaves_nothing() {
    let fixture = trained();
    for (arguments, expected) in [
        (&["--checkpoint", "24"][..], "has no checkpoint at step 24; it has: 0, 25"),
        (&["--checkpoint", "best"], "the run has not measured kNN"),
        (&["--checkpoint", "latest"], "neither `newest`, `best`, `untrained` nor a step's number"),
        (&["--train-shards", "nowhere.tar"], "nowhere.tar"),
        (&["--probe-lr", "3,0"], "--probe-lr 0: must be a number above 0"),
        (&["--knn-k", "0"], "--knn-k 0: must be at least 1"),
        (&["--only", "knn", "--probe-lr", "3"], "have no effect with --only knn"),
        (&["--only", "probe", "--knn-k", "5"], "have no effect with --only probe"),
    ] {
        let printed = refused(&mut eval(&fixture, arguments));
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
    }
    assert!(!fixture.path("run/eval").exists());
    let printed = refused(simsiam().arg("eval").arg(fixture.path("train")));
    assert!(printed.contains("holds no run"), "{printed}");
    let step = fixture.path("run/checkpoints/step-000000025");
    let printed = refused(simsiam().arg("eval").arg(&step).args(["--checkpoint", "newest"]));
    assert!(printed.contains("has nothing to choose"), "{printed}");
    damage(&step.join("model.safetensors"), 1000);
    let printed = refused(&mut eval(&fixture, &["--checkpoint", "25"]));
    assert!(
        printed.contains("step-000000025 is unusable: model.safetensors: checksum mismatch"),
        "{printed}"
    );

    let printed = refused(&mut embed(&fixture, "features.csv", &[]));
    assert!(printed.contains("features.csv: must end in .safetensors or .npy"), "{printed}");
    let before = names(&fixture.path(""));
    let gone = fixture.path("nowhere");
    refused(embed(&fixture, "features.npy", &["--shards"]).arg(gone));
    assert_eq!(names(&fixture.path("")), before);
}

/// However many they are: a run's budget is for training.
#[test]
fn embeddings_leave_out_and_count_what_cannot_be_decoded() {
    let fixture = trained();
    for shard in ["train/train-000.tar", "train/train-001.tar", "train/train-002.tar"] {
        damage(&fixture.path(shard), 512);
    }
    let printed = succeed(&mut embed(&fixture, "features.npy", &["--checkpoint", "untrained"]));
    assert!(printed.contains("197 embeddings of 64 values") && printed.contains("left out: 3"), "{printed}");
}
