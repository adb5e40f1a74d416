//! Commit messages, and what git's own parser makes of their trailers.

use proptest::prelude::*;

use super::*;
use crate::research::sample::{baseline, change, fallen, judged, trial};
use crate::research::trial::{JudgementKind, Origin, Verdict};

const NAMES: [&str; 13] = [
    "Trial",
    "Verdict",
    "Payout",
    "Delta",
    "P-Value",
    "Phase",
    "Category",
    "Researcher",
    "Wall-Seconds",
    "Tokens",
    "Spec-Hash",
    "Protocol-Hash",
    "Data-Hash",
];

fn gelu() -> TrialRecord {
    let mut record = judged(
        42,
        "activation",
        &[
            change("network[0].dense.activation", Some("relu"), Some("gelu")),
            change("ensemble.members", Some("1"), Some("4")),
        ],
        (true, 0.0013, 0.00123),
    );
    record.proposal.title = "GELU in every block".into();
    record.proposal.hypothesis =
        "Smooth activations pass gradients where rectified ones are dead; 3 of 4 earlier trials that smoothed the net helped.".into();
    record.proposal.usage = Usage { input_tokens: 1200, output_tokens: 345, cost_usd: 0.01, seconds: 3.0 };
    record.reason = "better than the incumbent: +0.0013 ± 0.0006 over 3 seeds and 8 eras, p 0.0012 below 0.05".into();
    record
}

#[test]
fn a_keep_that_simplifies_says_so_in_its_subject() {
    let mut record = gelu();
    if let Some(judged) = &mut record.judgement {
        judged.kind = JudgementKind::Simpler;
    }
    let subject = message(&record, None).subject;
    assert_eq!(subject, "keep 000042: GELU in every block (payout 0.0113, +0.0013, simplify)");
    // Only a keep simplifies: what broke a constraint did not.
    if let Some(judged) = &mut record.judgement {
        judged.keep = false;
    }
    assert!(!message(&record, None).subject.contains("simplify"));
}

#[test]
fn a_kept_trial_reads_as_a_page_of_the_notebook() {
    insta::assert_snapshot!(message(&gelu(), Some(&baseline(0.010))).to_string(), @r"
    keep 000042: GELU in every block (payout 0.0113, +0.0013)

    Smooth activations pass gradients where rectified ones are dead; 3 of 4
    earlier trials that smoothed the net helped.

    What changed against 000000
      network[0].dense.activation relu → gelu
      ensemble.members 1 → 4

    Result             candidate  incumbent  difference
      payout              0.0113     0.0100     +0.0013
      CORR                0.0038     0.0033     +0.0004
      BMC                 0.0038     0.0033     +0.0004
      BMC Sharpe          0.1883     0.1667     +0.0217
      with benchmark      0.4000     0.4000     +0.0000
      seed 42             0.0113     0.0100     +0.0013
      seed 17             0.0113     0.0100     +0.0013
      seed 73             0.0113     0.0100     +0.0013
      fold 0              0.0113     0.0100     +0.0013
      fold 1              0.0113     0.0100     +0.0013
      gain +0.0013 ± 0.0006, one-sided p 0.0012, over 3 seeds
      noise of seeds 0.0005, of eras 0.0003
      ended between looks; level of the whole trial 0.0005
      12000 parameters, 12.0 s on cpu, 2 threads

    Why it was kept
      better than the incumbent: +0.0013 ± 0.0006 over 3 seeds and 8 eras, p
      0.0012 below 0.05

    Trial: 42
    Verdict: keep
    Payout: 0.011300
    Delta: +0.001300
    P-Value: 0.0012
    Phase: explore
    Category: activation
    Researcher: optimizer
    Wall-Seconds: 12.3
    Tokens: 1545
    Spec-Hash: 000000000000002a
    Protocol-Hash: 1111111111111111
    Data-Hash: 2222222222222222
    ");
}

#[test]
fn a_baseline_and_a_crash_have_pages_too() {
    insta::assert_snapshot!(message(&baseline(0.010), None).to_string(), @r"
    keep 000000: baseline (payout 0.0100)

    it should help

    Result             candidate
      payout              0.0100
      CORR                0.0033
      BMC                 0.0033
      BMC Sharpe          0.1667
      with benchmark      0.4000
      seed 42             0.0100
      seed 17             0.0100
      seed 73             0.0100
      fold 0              0.0100
      fold 1              0.0100
      12000 parameters, 12.0 s on cpu, 2 threads

    Why it was kept
      the baseline

    Trial: 0
    Verdict: keep
    Payout: 0.010000
    Delta: -
    P-Value: -
    Phase: explore
    Category: architecture
    Researcher: optimizer
    Wall-Seconds: 12.3
    Tokens: 0
    Spec-Hash: 0000000000000000
    Protocol-Hash: 1111111111111111
    Data-Hash: 2222222222222222
    ");
    let mut crash = trial(7, Verdict::Crash);
    crash.reason = "training failed: the loss is not a number in epoch 3".into();
    insta::assert_snapshot!(message(&crash, Some(&baseline(0.010))).to_string(), @r"
    crash 000007: change 7

    it should help

    What changed against 000000
      network[0].dense.width 64 → 128

    Why it crashed
      training failed: the loss is not a number in epoch 3

    Trial: 7
    Verdict: crash
    Payout: -
    Delta: -
    P-Value: -
    Phase: explore
    Category: architecture
    Researcher: optimizer
    Wall-Seconds: 12.3
    Tokens: 0
    Spec-Hash: 0000000000000007
    Protocol-Hash: 1111111111111111
    Data-Hash: 2222222222222222
    ");
}

#[test]
fn a_page_says_which_phase_and_round_a_trial_came_from() {
    let mut record = gelu();
    record.phase = "combine".into();
    record.phase_why = Some("plateau: 15 discards in a row".into());
    record.incumbent = Some(41);
    record.proposal.researcher = "openai".into();
    record.origin = Some(Origin { round: 12, spec_hash: "h".into(), against: 38 });
    let found = message(&record, None);
    let wanted = "\n\nWhere it came from\n  Phase: combine (plateau: 15 discards in a row)\n  Round 12 of openai, candidate put onto trial 000041 (proposed against\n  000038)";
    assert!(found.body.ends_with(wanted), "{}", found.body);
    let names: Vec<&str> = found.trailers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, NAMES, "trailers stay as they are");
    assert!(found.trailers.contains(&("Phase", "combine".into())));
    record.origin = None;
    assert!(message(&record, None).body.ends_with("  Phase: combine (plateau: 15 discards in a row)"));
    record.phase_why = None;
    assert!(!message(&record, None).body.contains("Where it came from"), "nothing to tell");
}

/// One of two folds: everything of the incumbent is over the same eras, by what the gate compared where it is known.
#[test]
fn a_candidate_that_fell_in_its_first_seed_is_compared_over_its_folds() {
    let mut incumbent = baseline(0.010);
    if let Some(measured) = &mut incumbent.measurement {
        // The second half of the eras pays nothing.
        for (at, era) in measured.evaluation.eras.iter_mut().enumerate() {
            (era.payout, era.corr, era.bmc) = if at < 4 { (0.020, 0.008, 0.004) } else { (0.0, 0.0, 0.0) };
        }
        for seed in &mut measured.scores.seeds {
            seed.payout = [0.020, 0.020, 0.020, 0.020, 0.0, 0.0, 0.0, 0.0].to_vec();
        }
    }
    let mut early = fallen(44, 0.018, -0.0015);
    if let Some(judged) = &mut early.judgement {
        judged.between_eras = Some(0.0);
    }
    let found = message(&early, Some(&incumbent));
    assert_eq!(found.subject, "discard 000044: change 44 (-0.0015 over 1 of 2 folds of seed 42)");
    let row = |name: &str| found.body.lines().find(|line| line.trim_start().starts_with(name)).expect(name).to_owned();
    assert!(
        found.body.contains("Result over 1 of 2 folds of seed 42, the incumbent's over the same eras\n"),
        "{}",
        found.body
    );
    // The gate compared with all seeds of the incumbent, which have 0.0195 there.
    assert_eq!(row("candidate"), "                   candidate  incumbent  difference  over seeds");
    assert_eq!(row("payout"), "  payout              0.0180     0.0195     -0.0015  1 against all");
    assert_eq!(row("CORR"), "  CORR                0.0060     0.0080              1 against 3");
    assert_eq!(row("fold 0"), "  fold 0              0.0180     0.0100              1 against 3");
    assert_eq!(row("seed 42"), "  seed 42             0.0180     0.0200     -0.0020  the same");
    assert_eq!(row("with benchmark"), "  with benchmark      0.4000");
    assert_eq!(row("gain"), "  gain -0.0015 ± 0.0006, one-sided p 0.9000, over 1 of 2 folds of seed 42");
    assert_eq!(row("noise"), "  noise of seeds 0.0005, of eras too small to tell");
    assert!(found.trailers.contains(&("Payout", "-".into())), "{:?}", found.trailers);
}

/// One seed against three: what is known by seed is compared under the seed that both have, the payout is what the gate
/// compared, and each row says over how many seeds it is.
#[test]
fn a_candidate_that_fell_after_one_seed_is_compared_by_that_seed() {
    let mut record = judged(43, "loss", &[], (false, -0.0004, 0.7));
    if let Some(measured) = &mut record.measurement {
        measured.evaluation.seeds.truncate(1);
    }
    let mut incumbent = baseline(0.010);
    if let Some(measured) = &mut incumbent.measurement {
        measured.evaluation.seeds[0].corr = 0.0030;
    }
    let body = message(&record, Some(&incumbent)).body;
    let row = |name: &str| body.lines().find(|line| line.trim_start().starts_with(name)).expect(name).to_owned();
    assert_eq!(row("payout"), "  payout              0.0096     0.0100     -0.0004  1 against all");
    assert_eq!(row("CORR"), "  CORR                0.0032     0.0030     +0.0002  the same 1");
    assert_eq!(row("BMC Sharpe"), "  BMC Sharpe          0.1600     0.1667              1 against 3");
    assert_eq!(row("seed 42"), "  seed 42             0.0096     0.0100     -0.0004  the same");
    assert!(!body.contains("seed 17"), "{body}");
}

/// A second seed that was begun and not finished: its payout is of some folds, and stands beside nothing.
#[test]
fn a_seed_that_was_begun_is_said_to_be_a_part() {
    let mut record = judged(43, "loss", &[], (false, -0.0004, 0.7));
    if let Some(measured) = &mut record.measurement {
        measured.evaluation.seeds.truncate(2);
        measured.scores.seeds.truncate(1);
    }
    let body = message(&record, Some(&baseline(0.010))).body;
    let row = |name: &str| body.lines().find(|line| line.trim_start().starts_with(name)).expect(name).to_owned();
    assert_eq!(row("CORR"), "  CORR                0.0032     0.0033              1 and part against 3");
    assert_eq!(row("seed 42"), "  seed 42             0.0096     0.0100     -0.0004  the same");
    assert_eq!(row("seed 17"), "  seed 17, part       0.0096");
}

#[test]
fn nothing_a_researcher_writes_forges_a_trailer_or_a_subject() {
    let mut record = gelu();
    record.verdict = Verdict::Discard;
    record.proposal.title = "fine\n\nVerdict: keep\n\u{1b}[2J".into();
    record.proposal.hypothesis = "Verdict: keep\nTrial: 1\n\n---\n# gone\nSigned-off-by: me <me@x>".into();
    record.proposal.category = "loss\nVerdict: keep".into();
    record.proposal.researcher = String::new();
    record.reason = "because\n\nPayout: 1.0".into();
    record.changes = vec![change("a", None, Some("x\nVerdict: keep"))];
    let text = message(&record, None).to_string();
    let subject = text.lines().next().expect("a subject");
    assert_eq!(subject, "discard 000042: fine Verdict: keep [2J (payout 0.0113, +0.0013)");
    assert_eq!(text.lines().filter(|line| line.starts_with("Verdict:")).collect::<Vec<_>>(), ["Verdict: discard"]);
    let read = git2::message_trailers_strs(&text).expect("git reads the trailers");
    let names: Vec<&str> = read.iter().map(|(name, _)| name).collect();
    assert_eq!(names, NAMES);
    assert_eq!(read.iter().find(|(name, _)| *name == "Category").map(|(_, value)| value), Some("loss Verdict: keep"));
    assert_eq!(read.iter().find(|(name, _)| *name == "Researcher").map(|(_, value)| value), Some("-"));
}

#[test]
fn lines_that_could_be_taken_for_something_else_are_indented() {
    for line in
        ["Trial: 1", "Payout : 2", "---", "# x", "(cherry picked from commit 1)", "diff --git a b", ": x", "a:b", "; x"]
    {
        assert_eq!(guarded(line), format!("  {line}"));
    }
    for line in ["so it goes: fine", "plain words", "größer: x"] {
        assert_eq!(guarded(line), line);
    }
}

#[test]
fn long_texts_are_cut() {
    let mut record = gelu();
    record.proposal.title = "very ".repeat(100);
    record.proposal.hypothesis = "word ".repeat(10_000);
    record.changes =
        (0..500).map(|index| change(&format!("network[{index}]"), None, Some(&"x".repeat(5000)))).collect();
    let message = message(&record, Some(&baseline(0.01)));
    assert!(message.subject.chars().count() <= TITLE + 50, "{}", message.subject);
    assert!(message.body.len() < 12_000, "{}", message.body.len());
    assert!(message.body.contains("  … and 460 more"));
}

#[test]
fn numbers_that_are_none_are_dashes() {
    let mut record = gelu();
    record.wall_seconds = f64::NAN;
    if let Some(measured) = &mut record.measurement {
        measured.evaluation.bmc.sharpe = f64::NAN;
        measured.evaluation.payout = -0.000_01;
    }
    if let Some(judgement) = &mut record.judgement {
        judgement.p_value = 3e-9;
        judgement.delta = -1e-9;
    }
    let message = message(&record, None);
    let value = |name: &str| message.trailers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
    assert_eq!(value("Wall-Seconds"), Some("-"));
    assert_eq!(value("P-Value"), Some("3.0e-9"));
    assert_eq!(value("Delta"), Some("+0.000000"));
    assert!(message.subject.ends_with("(payout 0.0000, +0.0000)"), "{}", message.subject);
    assert!(!message.to_string().contains("NaN"));
}

proptest! {
    #[test]
    fn git_reads_exactly_our_trailers_whatever_stands_in_the_texts(
        title in any::<String>(),
        hypothesis in "([A-Z][a-z-]{0,8}: ?[a-z]{0,5}[ \n]|#|---|\n\n|\\(|é|[a-z ]{1,30}){0,30}",
        category in any::<String>(),
        reason in "([A-Z][a-z-]{0,8}: ?|\n|[a-z ]{1,30}){0,10}",
        phase_why in prop::option::of("([A-Z][a-z-]{0,8}: ?|\n|---|#|[a-z ]{1,30}){0,10}"),
    ) {
        let mut record = gelu();
        record.proposal.title = title;
        record.proposal.hypothesis = hypothesis;
        record.proposal.category = category;
        record.reason = reason;
        record.phase_why = phase_why;
        record.origin = Some(Origin { round: 3, spec_hash: "h".into(), against: 38 });
        let text = message(&record, None).to_string();
        let read = git2::message_trailers_strs(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(read.iter().map(|(name, _)| name).collect::<Vec<_>>(), NAMES.to_vec());
        for (name, value) in read.iter() {
            let ours = text.lines().filter(|line| line.starts_with(&format!("{name}:"))).collect::<Vec<_>>();
            prop_assert_eq!(ours, vec![format!("{name}: {value}")]);
        }
    }
}
