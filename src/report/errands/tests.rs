//! What is said of an errand, whole: a change of words is seen here.

use super::*;

fn floor() -> NoiseFloor {
    NoiseFloor {
        trial: 7,
        protocol_hash: "p".into(),
        data_hash: "d".into(),
        seeds: 24,
        payout: 0.01824,
        standard_error: 0.0031,
        between_seeds: 0.0048,
        between_folds: 0.0061,
        between_eras: 0.0253,
        between_cells: 0.0096,
        comparison_error: 0.0014,
        most_seeds: 24,
        incumbent_seeds: 48,
        level: 0.0005,
        power: 0.8,
        detectable: 0.0058,
    }
}

#[test]
fn a_noise_floor_says_what_it_can_detect_and_what_auto_would_ask() {
    let lines = [
        "noise floor of trial 000007: GELU",
        "payout         0.01824 ± 0.00310 over 24 seeds",
        "between seeds  0.00480 standard deviation of a seed's payout: luck of a training",
        "between cells  0.00960 of the payout of one fold under one seed",
        "between folds  0.00610 of the folds' mean payouts",
        "between eras   0.02530 of the eras' mean payouts",
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
            row.add(number < *keeps, number < *plain, 1.25).expect("counts");
        }
        row
    };
    AuditReport {
        trial: 7,
        level: 0.0005,
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
fn planted_gains_make_a_power_curve() {
    let text = plain(&audit_text(&report(&[(0.0024, 10, 1, 7), (0.0144, 10, 10, 10)])));
    for line in [
        "planted gain  in deviations   kept               power   95 % interval    seeds   plain rule",
        "    +0.00240           0.50   1 of 10             10 %   0 % to 45 %       1.25   7 of 10",
        "    +0.01440           3.00   10 of 10           100 %   69 % to 100 %     1.25   10 of 10",
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
    (found.demoted_to, found.gain) = (None, None);
    let text = plain(&remeasurement_text(&found, "GELU"));
    assert!(text.starts_with("trial 000007 stands: GELU\n") && text.ends_with("gain           because\n"), "{text}");
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
