//! What is said of an errand, whole: a change of words is seen here.

use super::*;
use crate::research::audit::Audited;
use crate::research::sample::noise_floor as floor;

#[test]
fn a_noise_floor_says_what_it_can_detect_and_what_auto_would_ask() {
    let lines = [
        "noise floor of trial 000007: GELU",
        "payout         0.01824 ± 0.00310 over 24 seeds",
        "between seeds  0.00480 standard deviation of a seed's payout: luck of a training",
        "between cells  0.00960 of the payout of one fold under one seed",
        "between folds  0.00610 of the folds' mean payouts",
        "between eras   0.02530 of the eras' mean payouts",
        "over eras      ± 0.00310 of the payout by the eras alone (Newey and West); 0.00290 by a stationary bootstrap in blocks of 2.3 eras on average",
        "detectable     without giving up early, and by the noise of seeds alone, a true gain of 0.00580 is kept with a chance of 80 %, at 24 seeds of a candidate against 48 of the incumbent",
        "               at the next trial's level 5.0e-4: PROMISE",
        "               by the noise of seeds alone; eras add theirs where two specs are unlike, and then it takes a larger gain",
        "minimum        0.00140, one standard error of such a comparison, which gate.min_effect: auto would ask of a keep; now it asks for 0.0005",
        "",
    ];
    let settings = GateSettings { min_effect: MinEffect::Payout(0.0005), ..GateSettings::default() };
    let text = plain(&noise_floor_text(&floor(), "GELU", &settings)).replace(&promise(&settings), "PROMISE");
    assert_eq!(text, lines.join("\n"));
    let auto = GateSettings { min_effect: MinEffect::Auto, ..settings };
    assert!(
        noise_floor_text(&floor(), "GELU", &auto).contains("which gate.min_effect: auto asks of a keep from now on")
    );
}

fn report(rows: &[(f64, u32, u32, u32)]) -> AuditReport {
    let row = |(planted, proposals, keeps, plain): &(f64, u32, u32, u32)| {
        let mut row = AuditRow::new(*planted);
        for number in 0..*proposals {
            let found = Audited { proven: number < *keeps, plain: number < *plain, seeds: 1.25, constrained: false };
            row.add(found).expect("counts");
        }
        row
    };
    AuditReport {
        trial: 7,
        level: 0.0005,
        control: Some(Control::Familywise),
        promise: "PROMISE".into(),
        between_seeds: 0.0048,
        candidate_seeds: (3, 24),
        incumbent_seeds: 48,
        rows: rows.iter().map(row).collect(),
        given_up: None,
        wall_seconds: 130.0,
        ended: "2026-03-02T07:30:00Z".into(),
    }
}

#[test]
fn an_audit_says_what_it_cannot_tell() {
    let lines = [
        "audit of the gate, against trial 000007",
        "false keeps    0 of 20 (0 %); 95 % interval 0 % to 17 %",
        "promised       at most 0.05 %: PROMISE",
        "that says      a rate above 17 % is ruled out. To confirm 0.05 % takes 7376 proposals without a keep; benchmarks/gate.sh simulates them",
        "plain rule     would have kept 9 of 20 (45 %): a mean above the incumbent's, over the protocol's seeds or as many of them as were trained",
        "training       1.25 seeds a proposal",
        "seeds          3 to 24 of a candidate before it is kept",
        "mind           all were compared with the same 48 seeds of the incumbent; they share its luck, which no interval here holds",
        "took           2 min",
        "",
    ];
    assert_eq!(plain(&audit_text(&report(&[(0.0, 20, 0, 9)]))), lines.join("\n"));
    let said = |rows: &[(f64, u32, u32, u32)], level: f64| audit_text(&AuditReport { level, ..report(rows) });
    assert!(said(&[(0.0, 20, 2, 9)], 0.0005).contains("MORE THAN PROMISED: even the lower end of the interval, 1.2 %"));
    assert!(said(&[(0.0, 20, 1, 9)], 0.05).contains("rates below 0.13 % and above 25 % are ruled out"));
    assert!(said(&[(0.0, 100, 0, 9)], 0.05).contains("the promise is kept"));
}

#[test]
fn what_is_promised_is_said_of_each_control() {
    let text = |control, level| {
        let report = AuditReport { control: Some(control), level, ..report(&[(0.0, 20, 2, 9)]) };
        plain(&audit_text(&report))
    };
    let none = text(Control::None, 0.05);
    assert!(none.contains("promised       nothing over a session: PROMISE\n"), "{none}");
    assert!(text(Control::None, 0.01).contains("MORE THAN THE LEVEL ALLOWS: even the lower end"));
    assert!(
        text(Control::None, 0.4).contains("the level is kept: even the upper end of the interval is not above 40 %")
    );
    let rate = text(Control::DiscoveryRate, 0.02);
    assert!(rate.contains("promised       PROMISE; of a single proposal that changes nothing"), "{rate}");
    assert!(rate.contains("at most its level, 2.0 % at the next trial\n"), "{rate}");
}

#[test]
fn doubts_about_errors_over_eras_are_said() {
    let said = |floor: &NoiseFloor| plain(&noise_floor_text(floor, "GELU", &GateSettings::default()));
    assert!(!said(&floor()).contains("WARNING"));
    let apart = NoiseFloor { bootstrap_error: Some(0.0023), ..floor() };
    assert!(
        said(&apart)
            .contains("WARNING        the two errors over eras, 0.00310 and 0.00230, differ by more than a third")
    );
    let short = NoiseFloor { series_eras: Some(29), ..floor() };
    assert!(said(&short).contains("WARNING        the noise of eras is estimated from series of 29 retained eras"));
    // As an older program wrote it.
    let old = NoiseFloor {
        era_error: None,
        bootstrap_error: None,
        bootstrap_block: None,
        series_eras: None,
        ended: String::new(),
        ..floor()
    };
    assert!(!said(&old).contains("over eras") && !said(&old).contains("WARNING"));
}

#[test]
fn the_last_errands_are_a_line_each() {
    assert!(last_errands(None, None, None).is_empty());
    let (null, planted) = (report(&[(0.0, 50, 0, 20)]), report(&[(0.0024, 10, 1, 7), (0.0144, 10, 10, 10)]));
    let rows = last_errands(Some(&floor()), Some(&null), Some(&planted));
    let lines: Vec<String> = rows.iter().map(|(name, text)| format!("{name} {text}")).collect();
    assert_eq!(
        lines,
        [
            "noise 0.00480 between seeds; by that alone, without giving up early, a gain of 0.00580 is found with 80 % power (24 seeds of trial 000007, 2026-03-02 07:30 UTC)",
            "audit of proposals that change nothing the gate kept 0 of 50 (0 %), 95 % interval 0 % to 7.1 %, at level 0.05 % (against trial 000007, 2026-03-02 07:30 UTC)",
            "power planted gains that the gate kept: +0.00240: 1 of 10, +0.01440: 10 of 10 (against trial 000007, 2026-03-02 07:30 UTC)",
        ]
    );
    assert!(last_errands(None, Some(&planted), None).is_empty(), "it had no null");
}

#[test]
fn planted_gains_make_a_power_curve() {
    let text = plain(&audit_text(&report(&[(0.0024, 10, 1, 7), (0.0144, 10, 10, 10)])));
    for line in [
        "planted gain  in deviations   kept           power   95 % interval  seeds a proposal  plain rule",
        "    +0.00240           0.50   1 of 10         10 %   0 % to 45 %                1.25  7 of 10",
        "    +0.01440           3.00   10 of 10       100 %   69 % to 100 %              1.25  10 of 10",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
    assert!(!text.contains("false keeps"));
    let cut =
        AuditReport { given_up: Some("asked to stop".into()), between_seeds: 0.0, ..report(&[(0.0024, 1, 0, 1)]) };
    assert!(audit_text(&cut).contains("given up       asked to stop; what follows is of the proposals until then"));
    assert!(plain(&audit_text(&cut)).contains("+0.00240              -   0 of 1"));
}

#[test]
fn a_remeasurement_says_whether_it_stands() {
    let mut found = Remeasurement {
        trial: 7,
        after_trial: 9,
        seeds: vec![1_000_001, 1_000_002],
        selected: 0.0182,
        fresh: 0.0151,
        standard_error: 0.003,
        predecessor: Some(3),
        gain: Some(-0.0011),
        gain_error: Some(0.002),
        p_value: Some(0.7),
        demoted_to: Some(3),
        reason: "because".into(),
        ended: "2026-03-02T07:30:00Z".into(),
    };
    let lines = [
        "trial 000007 is demoted; trial 000003 is the incumbent again: GELU",
        "selected       0.01820, the payout that it was kept by",
        "fresh          0.01510 ± 0.00300 on 2 seeds that nothing was selected by",
        "gain           -0.00110 ± 0.00200 over trial 000003 on the same seeds, p 0.7000",
        "",
    ];
    assert_eq!(plain(&remeasurement_text(&found, "GELU")), lines.join("\n"));
    found.demoted_to = None;
    assert!(plain(&remeasurement_text(&found, "GELU")).starts_with("trial 000007 stands: GELU\n"));
    (found.predecessor, found.gain) = (None, None);
    let text = plain(&remeasurement_text(&found, "baseline"));
    let first = "trial 000007 has no predecessor that it could be compared with: baseline\n";
    assert!(text.starts_with(first) && text.ends_with("gain           because\n"), "{text}");
    assert!(!text.contains("stands") && text.contains("fresh          0.01510 ± 0.00300"), "{text}");
}

/// Without colours.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    out + rest
}
