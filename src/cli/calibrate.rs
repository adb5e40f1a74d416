//! `autoresearch calibrate`

use serde::Serialize;

use super::{Context, errand, out, view};
use crate::daemon::{Errand, Outcome};
use crate::error::{Error, Result};
use crate::lab::config::Config;
use crate::report::errands::noise_floor_text;
use crate::research::calibration::{NoiseFloor, min_effect};
use crate::research::gate::settings::{GateSettings, MinEffect};

/// Measure how far luck alone moves the incumbent's score.
///
/// Trains the incumbent under further seeds, and says how much its score differs from seed to seed, fold to fold and era to
/// era, and which gain the gate can tell from that with the power of gate.power in autoresearch.yaml.
///
/// With `min_effect: auto` in the gate's settings, a gain smaller than one standard error of a comparison counts as none, by
/// the last calibration. The seeds are kept: they sharpen every later comparison with the incumbent. It holds the lab while
/// it trains, and measures the baseline first where nothing has been measured.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Train under so many further seeds.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 12,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    seeds: u32,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(flatten)]
    floor: &'a NoiseFloor,
    /// The smallest gain that counts, as configured.
    min_effect: f64,
    /// What `auto` makes of it.
    min_effect_if_auto: f64,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let floor = match errand::carry_out(context, &Errand::Calibrate { seeds: arguments.seeds as usize })? {
        Outcome::Floor(floor) => floor,
        Outcome::GivenUp(reason) => return errand::given_up(context, reason),
        other => return Err(Error::Internal(format!("a calibration came to {other:?}"))),
    };
    let lab = context.open()?;
    let settings = Config::read(&lab)?.gate;
    if context.json {
        let auto = GateSettings { min_effect: MinEffect::Auto, ..settings.clone() };
        return out::json(&Facts {
            min_effect: min_effect(&settings, Some(&floor)),
            min_effect_if_auto: min_effect(&auto, Some(&floor)),
            floor: &floor,
        });
    }
    out::print_wrapped(&noise_floor_text(&floor, &view::title(&lab, floor.trial)?, &settings));
    Ok(())
}
