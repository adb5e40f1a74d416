//! Bad input: the documented exit code, a message with file, place and remedy, and nothing changed.

use std::fs;

use crate::lab::{Outcome, PROTOCOL, QUICK, TestLab, bytes};

/// Runs on this lab, and demands that nothing in it changes.
#[track_caller]
fn refused(lab: &TestLab, arguments: &[&str], code: i32, words: &[&str]) -> Outcome {
    let before = lab.contents();
    let outcome = lab.run(arguments).exits(code).says(words).says(&["error:"]);
    lab.is_unchanged_since(&before);
    outcome
}

#[test]
fn a_folder_that_is_no_lab() {
    let lab = TestLab::bare();
    fs::create_dir(lab.root()).expect("a folder");
    let root = lab.root().display().to_string();
    for command in ["run", "prepare", "status", "log", "folds", "doctor"] {
        let code = 3;
        let outcome = lab.run(&[command]).exits(code);
        let text = outcome.stdout + &outcome.stderr;
        assert!(text.contains(&root) && text.contains("autoresearch init"), "{command}: {text}");
    }
    lab.program(&["--lab", "nowhere", "run"]).exits(3).says(&["nowhere", "not a lab"]);
    assert_eq!(fs::read_dir(lab.root()).expect("a folder").count(), 0, "nothing is left in it");
}

#[test]
fn a_wrong_configuration_is_located() {
    let lab = TestLab::new();
    let good = lab.read("autoresearch.yaml");
    for (from, to, words) in [
        ("plateau: 15", "plataeu: 15", ["plataeu", "plateau"]),
        ("plateau: 15", "plateau: 0", ["plateau", "0"]),
        ("kind: optimizer ", "kind: optimiser ", ["optimiser", "optimizer"]),
        ("alpha: 0.05 ", "alpha: 1.5 ", ["alpha", "1.5"]),
        ("alpha: 0.05 ", "alpha: five ", ["gate.alpha: found `five`", "a number, above 0 and at most 0.5"]),
        ("device: auto ", "device: [auto ", ["autoresearch.yaml", ""]),
        ("version: 1", "version: 2", ["version", "2"]),
    ] {
        lab.write("autoresearch.yaml", &good);
        lab.edit("autoresearch.yaml", from, to);
        let line = good[..good.find(from).expect("there")].matches('\n').count() + 1;
        lab.git(&["commit", "-q", "-am", "wrong"]);
        let outcome = refused(&lab, &["run", "--trials", "1"], 3, &words);
        // Status says what it can, this first.
        let status = refused(&lab, &["status"], 3, &words);
        assert!(status.stdout.starts_with("warnings\n") && status.stdout.contains("\nstate "), "{}", status.stdout);
        // An unclosed list is found where it should have ended.
        if !to.contains('[') {
            let place = format!("autoresearch.yaml:{line}:");
            assert!(outcome.stderr.contains(&place), "`{place}` in {}", outcome.stderr);
        }
    }
}

#[test]
fn a_wrong_protocol_is_located() {
    let lab = TestLab::new();
    for (from, to, words) in [
        ("embargo: 16", "embargo: 8", "16"),
        ("seeds: [42, 17, 73]", "seeds: [42, 17]", "at least 3"),
        ("folds: {", "fodls: {", "folds"),
        ("score_on: target_ender_20", "score_on: target", "ender"),
        ("count: 2", "count: 1", "at least 2"),
    ] {
        lab.write("prepare/protocol.yaml", PROTOCOL);
        lab.edit("prepare/protocol.yaml", from, to);
        let line = PROTOCOL[..PROTOCOL.find(from).expect("there")].matches('\n').count() + 1;
        lab.git(&["commit", "-q", "-am", "wrong"]);
        for command in [["run", "--trials", "1"].as_slice(), &["prepare"]] {
            refused(&lab, command, 3, &["prepare/protocol.yaml", &format!("line {line}"), words]);
        }
    }
}

/// What `run` would refuse stands in `status` before.
#[test]
fn status_warns_of_what_run_would_refuse() {
    let lab = TestLab::new();
    lab.run(&["prepare"]).exits(0);
    assert!(!lab.run(&["status"]).exits(0).stdout.contains("warnings"));
    lab.edit("prepare/protocol.yaml", "embargo: 16", "embargo: 20");
    lab.write("model.yaml", format!("{QUICK}# mine\n"));
    refused(&lab, &["run", "--trials", "1"], 3, &[]);
    let text = lab.run(&["status"]).exits(0).stdout;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.starts_with("warnings ") && flat.contains("the protocol has changed"), "{text}");
    assert!(flat.contains("model.yaml: has changes that are not committed"), "{text}");
    lab.write("prepare/protocol.yaml", PROTOCOL.replace("embargo: 16", "embargo: sixteen"));
    let text = lab.run(&["status"]).exits(0).stdout;
    assert!(text.contains("prepare/protocol.yaml") && text.contains("embargo"), "{text}");
}

#[test]
fn a_wrong_spec_is_told_all_its_mistakes_at_once() {
    let lab = TestLab::new();
    let bad = "version: 1\nnetwork:\n  - dense: { widht: 32 }\n  - dense: { width: 8, activation: gleu }\n\
        loss: [ { mse: { weight: -1.0 } } ]\ntraining: { epochs: 0 }\n";
    let file = lab.home().join("bad.yaml");
    fs::write(&file, bad).expect("written");
    let file = file.display().to_string();
    for command in ["check", "trial"] {
        let places = [format!("{file}:3:"), format!("{file}:4:"), format!("{file}:5:"), format!("{file}:6:")];
        let words: Vec<&str> =
            places.iter().map(String::as_str).chain(["widht", "width", "gleu", "gelu", "epochs"]).collect();
        refused(&lab, &[command, &file], 3, &words);
    }
    lab.run(&["prepare"]).exits(0);
    let unknown = lab.home().join("unknown.yaml");
    fs::write(&unknown, format!("{QUICK}features: {{ sets: [serenety] }}\n")).expect("written");
    refused(
        &lab,
        &["check", &unknown.display().to_string()],
        3,
        &["unknown.yaml:", ": features.sets[0]: ", "serenety", "serenity"],
    );
    refused(&lab, &["check", "/nowhere/model.yaml"], 3, &["/nowhere/model.yaml"]);
    // As the lab's own model it is refused as well.
    lab.write("model.yaml", bad);
    lab.commit("wrong");
    lab.run(&["run", "--trials", "1"]).exits(3).says(&["model.yaml:3:", "model.yaml:6:"]);
    assert_eq!(lab.events("trial_started").len(), 0);
}

#[test]
fn a_model_over_the_budget_is_neither_tried_nor_made_the_baseline() {
    let slow = "version: 1\nnetwork: [{ repeat: { times: 4, blocks: [{ dense: { width: 512 } }] } }]\n\
                training: { epochs: 1000, batch_rows: 512, patience: null }\n";
    let large = "version: 1\nnetwork: [{ repeat: { times: 4, blocks: [{ dense: { width: 2048 } }] } }]\n\
                 training: { epochs: 1, batch_rows: 8192, patience: null }\n";
    let cases = [
        (slow, "trial_seconds: 1800", "trial_seconds: 5", ["s a trial (at most 5, "]),
        (large, "memory_mb: null", "memory_mb: 256", ["MiB a net (at most "]),
        (large, "parameters: 20000000", "parameters: 1000000", [" parameters (at most 1000000)"]),
    ];
    for (model, from, to, words) in cases {
        let lab = TestLab::with(PROTOCOL, model);
        lab.edit("autoresearch.yaml", from, to);
        lab.run(&["prepare"]).exits(0);
        lab.commit("a small budget");
        let path = lab.path("model.yaml").display().to_string();
        let words = [words[0], "model.yaml:2:1: network: over the budget: ", "raise `budget` in autoresearch.yaml"];
        for command in ["check", "trial"] {
            refused(&lab, &[command, &path], 3, &words);
        }
        lab.run(&["run", "--trials", "1"]).exits(3).says(&words);
        assert_eq!(lab.events("trial_started").len(), 0);
        lab.is_clean();
        // The way out that it names is one.
        lab.write("model.yaml", QUICK);
        lab.commit("a smaller model");
        lab.run(&["run", "--trials", "1"]).exits(0);
    }
}

#[test]
fn git_in_a_state_that_a_trial_cannot_be_committed_in() {
    let lab = TestLab::new();
    lab.run(&["prepare"]).exits(0);
    lab.commit("prepared");
    let run = ["run", "--trials", "1"];

    lab.edit("model.yaml", "width: 8", "width: 9");
    refused(&lab, &run, 3, &["model.yaml", "git checkout", "git stash", "git commit"]);
    lab.git(&["add", "model.yaml"]);
    refused(&lab, &run, 3, &["model.yaml", "git checkout HEAD -- model.yaml"]);
    lab.git(&["checkout", "-q", "HEAD", "--", "model.yaml"]);

    lab.git(&["checkout", "-q", "--detach"]);
    refused(&lab, &run, 3, &["detached", "git switch"]);
    lab.git(&["switch", "-q", "main"]);

    lab.git(&["switch", "-q", "-c", "other"]);
    lab.edit("program.md", "#", "# Mine:");
    lab.commit("mine");
    lab.git(&["switch", "-q", "main"]);
    lab.edit("program.md", "#", "# Yours:");
    lab.commit("yours");
    assert!(!lab.try_git(&["merge", "-q", "other"]).0, "a conflict");
    refused(&lab, &run, 3, &["a merge is under way", "git merge --abort"]);
    lab.git(&["merge", "--abort"]);

    lab.write(".git/index.lock", "");
    refused(&lab, &run, 3, &["index.lock", "remove that file"]);
    fs::remove_file(lab.path(".git/index.lock")).expect("removed");

    fs::rename(lab.path(".git"), lab.home().join("git")).expect("moved");
    refused(&lab, &run, 3, &["not a git repository", "git init"]);
    fs::rename(lab.home().join("git"), lab.path(".git")).expect("moved back");
    lab.run(&run).exits(0);
}

#[test]
fn a_trial_before_anything_is_prepared() {
    let lab = TestLab::new();
    let model = lab.path("model.yaml").display().to_string();
    refused(&lab, &["trial", &model], 4, &["autoresearch prepare"]);
    refused(&lab, &["folds"], 4, &["autoresearch prepare"]);
}

#[test]
fn parquet_files_that_are_missing_empty_truncated_or_of_another_form() {
    // A lab on files, the files being those of a made-up market.
    let made = TestLab::new();
    made.run(&["prepare"]).exits(0);
    let data = "data: { files: { folder: data, version: v5.2 } }\n";
    let synthetic = PROTOCOL.find("data:").expect("there")..PROTOCOL.find("features: { sets: [").expect("there");
    let mut protocol = PROTOCOL.to_owned();
    protocol.replace_range(synthetic, data);
    let lab = TestLab::with(&protocol, QUICK);
    let names = ["train.parquet", "train_benchmark_models.parquet", "features.json"];
    let files = names.map(|name| (name, bytes(&made.path(&format!(".autoresearch/data/raw/{name}")))));
    let restore = || {
        for (name, content) in &files {
            lab.write(&format!("data/v5.2/{name}"), content);
        }
    };
    let model = lab.path("model.yaml").display().to_string();
    refused(&lab, &["prepare"], 4, &["v5.2"]);
    for (name, content) in &files {
        let path = format!("data/v5.2/{name}");
        restore();
        fs::remove_file(lab.path(&path)).expect("removed");
        refused(&lab, &["prepare"], 4, &[name]);
        restore();
        lab.write(&path, b"");
        refused(&lab, &["prepare"], 4, &[name]);
        restore();
        lab.write(&path, &content[..content.len() / 2]);
        refused(&lab, &["run", "--trials", "1"], 4, &[name]);
        restore();
        lab.write(&path, b"PAR1 this is no parquet PAR1");
        refused(&lab, &["prepare"], 4, &[name]);
        refused(&lab, &["trial", &model], 4, &["autoresearch prepare"]);
    }
    restore();
    let sets = String::from_utf8(files[2].1.clone()).expect("text");
    lab.write("data/v5.2/features.json", sets.replace("feature_serenity_000", "feature_serentiy_000"));
    refused(&lab, &["prepare"], 4, &["feature_serentiy_000"]);
    lab.write("data/v5.2/features.json", &sets);
    lab.edit("prepare/protocol.yaml", "v52_lgbm_ender60]", "v52_lgbm_ender61]");
    refused(&lab, &["prepare"], 4, &["train_benchmark_models.parquet", "v52_lgbm_ender61", "v52_lgbm_ender60"]);
    lab.edit("prepare/protocol.yaml", "v52_lgbm_ender61]", "v52_lgbm_ender60]");
    // And as they are, they are as good as the market that they were made by.
    lab.run(&["prepare"]).exits(0);
    lab.run(&["trial", &model, "--json"]).exits(0);

    let truth = lab.home().join("empty.parquet");
    fs::write(&truth, b"").expect("written");
    let (train, truth) = (lab.path("data/v5.2/train.parquet").display().to_string(), truth.display().to_string());
    refused(&lab, &["score", "--predictions", &train, "--truth", &truth], 4, &[""]);
    refused(&lab, &["score", "--predictions", &train, "--truth", &train], 4, &["train.parquet", "prediction"]);
    refused(&lab, &["score", "--predictions", "/nowhere.parquet", "--truth", &train], 4, &["/nowhere.parquet"]);
}

#[test]
fn data_or_protocol_that_changed_under_the_scores() {
    let lab = TestLab::new();
    lab.run(&["run", "--trials", "1"]).exits(0);
    lab.edit("prepare/protocol.yaml", "count: 2", "count: 3");
    lab.commit("other folds");
    lab.run(&["run", "--trials", "1"]).exits(3).says(&["protocol.lock", "prepare"]);
    assert_eq!(lab.events("session_started").len(), 1);
    lab.is_clean();
    // A torn piece of the packed data is no data.
    lab.edit("prepare/protocol.yaml", "count: 3", "count: 2");
    let features = lab.path(".autoresearch/data/packed/features.u8");
    let content = bytes(&features);
    fs::write(&features, &content[..content.len() / 2]).expect("written");
    let model = lab.path("model.yaml").display().to_string();
    refused(&lab, &["trial", &model], 4, &["packed", "autoresearch prepare"]);
}

#[test]
fn a_baseline_that_diverges() {
    let wild = "\
version: 1
network: [ { dense: { width: 8 } }, { dense: { width: 8 } } ]
loss: [ { mse: { weight: 100.0 } } ]
optimizer: { sgd: { lr: 10.0, momentum: 0.9 } }
training: { epochs: 20, batch_rows: 128, patience: 20 }
";
    let lab = TestLab::with(PROTOCOL, wild);
    lab.run(&["run", "--trials", "1"]).exits(6).says(&["baseline", "model.yaml"]);
    lab.run(&["trial", &lab.path("model.yaml").display().to_string()]).exits(6);
    assert_eq!(lab.read("model.yaml"), wild);
    assert_eq!(lab.git(&["fsck", "--strict", "--full", "--no-dangling"]), "");
    // The failure is a page of the notebook like any other.
    assert_eq!(lab.status()["verdicts"]["crash"], 1);
    assert!(lab.git(&["log", "-1", "--format=%s"]).starts_with("crash 000000: baseline"));
    lab.is_deserted();
    // A person mends it, and the next start measures what they wrote.
    lab.write("model.yaml", QUICK);
    lab.commit("a calmer one");
    lab.run(&["run", "--trials", "1"]).exits(0);
    crate::session::notebook_is_sound(&lab);
}

#[test]
fn a_ledger_damaged_inside_is_left_alone_and_one_with_a_torn_end_is_mended() {
    let lab = TestLab::new();
    lab.run(&["run", "--trials", "2"]).exits(0);
    let good = bytes(&lab.path("runs/ledger.jsonl"));
    let offset = good.iter().position(|byte| *byte == b'\n').expect("lines") + 1;
    let mut bad = good.clone();
    bad[offset + 60] ^= 1;
    lab.write("runs/ledger.jsonl", &bad);
    for command in [["run", "--trials", "1"].as_slice(), &["status"], &["log"], &["show", "1"]] {
        refused(&lab, command, 3, &["runs/ledger.jsonl", &format!("byte {offset}"), "rebuilds it from git"]);
    }
    lab.write("runs/ledger.jsonl", &good[..good.len() - 7]);
    lab.run(&["status"]).exits(0);
    lab.run(&["run", "--trials", "1"]).exits(0).says(&["torn"]);
    crate::session::notebook_is_sound(&lab);
    lab.is_clean();
}

#[test]
fn rules_that_cannot_be_read_let_nothing_be_tried() {
    let lab = TestLab::new();
    lab.write("do_not_retry.toml", "[[rule]]\nname = \"half\nreason = 3\n");
    lab.commit("wrong rules");
    refused(&lab, &["run", "--trials", "1"], 3, &["do_not_retry.toml:2"]);
    lab.git(&["revert", "--no-edit", "HEAD"]);
    lab.run(&["run", "--trials", "1"]).exits(0);
    crate::session::notebook_is_sound(&lab);
}
