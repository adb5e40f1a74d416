//! What `calibrate`, `audit` and `remeasure` say: what was found, and what that can and cannot tell.

use anstyle::Style;

use super::text::duration;
use crate::research::audit::{AuditReport, AuditRow, proposals_to_confirm};
use crate::research::calibration::{NoiseFloor, counts_eras, min_effect};
use crate::research::foreign::one_line;
use crate::research::gate::level::promise;
use crate::research::gate::settings::{Control, GateSettings, MinEffect};
use crate::research::remeasure::Remeasurement;
use crate::research::words::{count, signed};

/// Names stand in this many columns.
const NAMES: usize = 14;

/// A text that grows by named rows.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn title(&mut self, text: &str) {
        let bold = Style::new().bold();
        self.0.push_str(&format!("{bold}{text}{bold:#}\n"));
    }

    fn row(&mut self, name: &str, text: &str) {
        self.0.push_str(format!("{name:<NAMES$} {text}").trim_end());
        self.0.push('\n');
    }
}

/// A calibration.
pub fn noise_floor_text(floor: &NoiseFloor, title: &str, settings: &GateSettings) -> String {
    let mut out = Rows::default();
    out.title(&format!("noise floor of trial {:06}: {}", floor.trial, one_line(title, 80)));
    out.row(
        "payout",
        &format!("{:.5} ± {:.5} over {}", floor.payout, floor.standard_error, count(floor.seeds, "seed")),
    );
    out.row(
        "between seeds",
        &format!("{:.5} standard deviation of a seed's payout: luck of a training", floor.between_seeds),
    );
    out.row("between cells", &format!("{:.5} of the payout of one fold under one seed", floor.between_cells));
    out.row("between folds", &format!("{:.5} of the folds' mean payouts", floor.between_folds));
    out.row("between eras", &format!("{:.5} of the eras' mean payouts", floor.between_eras));
    if let Some(error) = floor.era_error {
        let other = match (floor.bootstrap_error, floor.bootstrap_block) {
            (Some(error), Some(block)) => {
                format!("{error:.5} by a stationary bootstrap in blocks of {block:.1} eras on average")
            }
            _ => "too few eras for a bootstrap beside it".into(),
        };
        out.row("over eras", &format!("± {error:.5} of the payout by the eras alone (Newey and West); {other}"));
    }
    out.row(
        "detectable",
        &format!(
            "without giving up early, and by the noise of seeds alone, a true gain of {:.5} is kept with a chance of {:.0} %, at {} seeds of a candidate against {} of the incumbent",
            floor.detectable,
            floor.power * 100.0,
            floor.most_seeds,
            floor.incumbent_seeds
        ),
    );
    out.row("", &format!("at the next trial's level {}: {}", p_value(floor.level), promise(settings)));
    if counts_eras(settings) {
        out.row(
            "",
            "by the noise of seeds alone; eras add theirs where two specs are unlike, and then it takes a larger gain",
        );
    }
    let auto = min_effect(&GateSettings { min_effect: MinEffect::Auto, ..settings.clone() }, Some(floor));
    let configured = match settings.min_effect {
        MinEffect::Auto => "which gate.min_effect: auto asks of a keep from now on".to_owned(),
        MinEffect::Payout(payout) => {
            format!("which gate.min_effect: auto would ask of a keep; now it asks for {payout}")
        }
    };
    out.row("minimum", &format!("{auto:.5}, one standard error of such a comparison, {configured}"));
    for warning in floor.warnings() {
        out.row("WARNING", &warning);
    }
    out.0
}

/// A re-measurement.
pub fn remeasurement_text(found: &Remeasurement, title: &str) -> String {
    let mut out = Rows::default();
    let stands = match (found.demoted_to, found.predecessor) {
        (Some(back), _) => format!("is demoted; trial {back:06} is the incumbent again"),
        (None, Some(_)) => "stands".to_owned(),
        (None, None) => "has no predecessor that it could be compared with".to_owned(),
    };
    out.title(&format!("trial {:06} {stands}: {}", found.trial, one_line(title, 80)));
    let kept_by = if found.predecessor.is_some() { "that it was kept by" } else { "of the baseline's own seeds" };
    out.row("selected", &format!("{:.5}, the payout {kept_by}", found.selected));
    let seeds = count(found.seeds.len(), "seed");
    out.row(
        "fresh",
        &format!("{:.5} ± {:.5} on {seeds} that nothing was selected by", found.fresh, found.standard_error),
    );
    if let (Some(gain), Some(error), Some(p), Some(predecessor)) =
        (found.gain, found.gain_error, found.p_value, found.predecessor)
    {
        let p = p_value(p);
        out.row(
            "gain",
            &format!("{} ± {error:.5} over trial {predecessor:06} on the same seeds, p {p}", signed(gain, 5)),
        );
    } else {
        out.row("gain", &one_line(&found.reason, 400));
    }
    out.0
}

/// An audit.
pub fn audit_text(report: &AuditReport) -> String {
    let mut out = Rows::default();
    out.title(&format!("audit of the gate, against trial {:06}", report.trial));
    if let Some(reason) = &report.given_up {
        out.row("given up", &format!("{}; what follows is of the proposals until then", one_line(reason, 200)));
    }
    for row in report.rows.iter().filter(|row| row.planted == 0.0) {
        null(&mut out, row, report);
    }
    let planted: Vec<&AuditRow> = report.rows.iter().filter(|row| row.planted != 0.0).collect();
    if !planted.is_empty() {
        power(&mut out, &planted, report);
    }
    let (first, most) = report.candidate_seeds;
    out.row("seeds", &format!("{first} to {most} of a candidate before it is kept"));
    out.row(
        "mind",
        &format!(
            "all were compared with the same {} seeds of the incumbent; they share its luck, which no interval here holds",
            report.incumbent_seeds
        ),
    );
    out.row("took", &duration(report.wall_seconds));
    out.0
}

fn null(out: &mut Rows, row: &AuditRow, report: &AuditReport) {
    let (low, high) = row.interval;
    out.row(
        "false keeps",
        &format!("{}; 95 % interval {} to {}", share(row.keeps, row.proposals), percent(low), percent(high)),
    );
    let level = percent(report.level);
    let (promised, held) = match report.control {
        // Ledgers that do not say are of the time when this was all there was.
        Some(Control::Familywise) | None => (format!("at most {level}: {}", report.promise), "promise"),
        Some(Control::DiscoveryRate) => (
            format!(
                "{}; of a single proposal that changes nothing, that it is kept with a chance of at most its level, {level} at the next trial",
                report.promise
            ),
            "level",
        ),
        Some(Control::None) => (format!("nothing over a session: {}", report.promise), "level"),
    };
    out.row("promised", &promised);
    let verdict = if low > report.level {
        let than = if held == "promise" { "PROMISED" } else { "THE LEVEL ALLOWS" };
        format!("MORE THAN {than}: even the lower end of the interval, {}, is above {level}", percent(low))
    } else if high <= report.level {
        format!("the {held} is kept: even the upper end of the interval is not above {level}")
    } else if row.keeps == 0 {
        format!(
            "a rate above {} is ruled out. To confirm {} takes {:.0} proposals without a keep; benchmarks/gate.sh simulates them",
            percent(high),
            percent(report.level),
            proposals_to_confirm(report.level)
        )
    } else {
        format!(
            "rates below {} and above {} are ruled out; {level} is not. More proposals tell more",
            percent(low),
            percent(high)
        )
    };
    out.row("that says", &verdict);
    out.row("plain rule", &format!("would have kept {}: {PLAIN}", share(row.plain_keeps, row.proposals)));
    if row.constrained > 0 {
        out.row("constraints", &format!("{} more were proven better, and broke one", row.constrained));
    }
    out.row("training", &format!("{:.2} seeds a proposal", row.seeds));
}

/// The rule that the gate is compared with.
const PLAIN: &str = "a mean above the incumbent's, over the protocol's seeds or as many of them as were trained";

fn power(out: &mut Rows, planted: &[&AuditRow], report: &AuditReport) {
    out.title("\nplanted gain  in deviations   kept           power   95 % interval  seeds a proposal  plain rule");
    for row in planted {
        let (low, high) = row.interval;
        let deviations =
            if report.between_seeds > 0.0 { format!("{:.2}", row.planted / report.between_seeds) } else { "-".into() };
        let kept = format!("{} of {}", row.keeps, row.proposals);
        let interval = format!("{:.0} % to {:.0} %", low * 100.0, high * 100.0);
        let line = format!(
            "{:>+12.5}  {deviations:>13}   {kept:<12} {:>5.0} %   {interval:<13}  {:>16.2}  {} of {}",
            row.planted,
            row.rate() * 100.0,
            row.seeds,
            row.plain_keeps,
            row.proposals
        );
        out.0.push_str(&format!("{line}\n"));
    }
    out.0.push('\n');
    out.row("deviation", &format!("{:.5} between seeds of the incumbent", report.between_seeds));
    out.row("power", "the share of true gains that is kept, at the next trial's level");
    let broke: u32 = planted.iter().map(|row| row.constrained).sum();
    if broke > 0 {
        out.row("constraints", &format!("{broke} more were proven better, and broke one"));
    }
    out.row("plain rule", &format!("would have kept so many: {PLAIN}"));
}

/// What the last calibration and audits found, each on a row: for `status` and `log`.
pub fn last_errands(
    floor: Option<&NoiseFloor>,
    null: Option<&AuditReport>,
    planted: Option<&AuditReport>,
) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(floor) = floor {
        rows.push((
            "noise",
            format!(
                "{:.5} between seeds; by that alone, without giving up early, a gain of {:.5} is found with {:.0} % power ({} seeds of trial {:06}{})",
                floor.between_seeds,
                floor.detectable,
                floor.power * 100.0,
                floor.seeds,
                floor.trial,
                when(&floor.ended)
            ),
        ));
    }
    if let Some((report, row)) = null.and_then(|report| report.null().map(|row| (report, row))) {
        rows.push((
            "audit",
            format!(
                "of proposals that change nothing the gate kept {}, 95 % interval {} to {}, at level {} (against trial {:06}{})",
                share(row.keeps, row.proposals),
                percent(row.interval.0),
                percent(row.interval.1),
                percent(report.level),
                report.trial,
                when(&report.ended)
            ),
        ));
    }
    if let Some(report) = planted {
        let curve: Vec<String> =
            report.planted().map(|row| format!("{:+.5}: {} of {}", row.planted, row.keeps, row.proposals)).collect();
        let against = format!("(against trial {:06}{})", report.trial, when(&report.ended));
        rows.push(("power", format!("planted gains that the gate kept: {} {against}", curve.join(", "))));
    }
    rows
}

/// `, 2026-03-02 07:30 UTC`, of an RFC 3339 time; nothing where it is not known.
fn when(time: &str) -> String {
    match time.get(..16) {
        Some(minute) => format!(", {} UTC", minute.replace('T', " ")),
        None => String::new(),
    }
}

fn share(part: u32, whole: u32) -> String {
    format!("{part} of {whole} ({})", percent(f64::from(part) / f64::from(whole.max(1))))
}

/// A share as people read it: enough digits that a small one is not 0.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent == 0.0 || percent >= 10.0 => format!("{percent:.0} %"),
        percent if percent >= 1.0 => format!("{percent:.1} %"),
        percent => format!("{percent:.2} %"),
    }
}

/// A probability; four digits of a tiny one would read as an impossible 0.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p < 1e-12 => "<1e-12".into(),
        p if p < 1e-3 => format!("{p:.1e}"),
        p => format!("{p:.4}"),
    }
}

#[cfg(test)]
mod tests;
