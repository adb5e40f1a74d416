//! What a person sets in autoresearch.yaml about how the loop decides.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The gate's rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSettings {
    /// What a keep says.
    pub claim: Claim,
    /// What is kept small over many trials.
    pub control: Control,
    /// How small, in (0, 0.5]: see [`Control`].
    pub alpha: f64,
    /// For `familywise`: in so many trials the chance of any false keep is at most `alpha`.
    pub trials: u32,
    /// The smallest gain in payout that counts as a gain.
    pub min_effect: MinEffect,
    /// The power at which `calibrate` says the smallest gain that can be detected, in [0.5, 0.99].
    pub power: f64,
    /// A candidate is given up when its chance of still being kept falls under this, in [0, 1); 0 gives none up.
    pub futility: f64,
    /// The most seeds that a candidate is trained under; None: 24 on a GPU and 12 on a CPU.
    pub most_seeds: Option<u32>,
    /// Seeds that a new incumbent is measured under before anything is compared with it.
    pub incumbent_seeds: u32,
    /// When the incumbent is measured again, and when it has failed.
    pub remeasure: RemeasureSettings,
    /// What a candidate must hold whatever its payout.
    pub constraints: ConstraintSettings,
    /// Keeps smaller models that are as good; None: no.
    pub simplify: Option<SimplifySettings>,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            claim: Claim::default(),
            control: Control::default(),
            alpha: 0.05,
            trials: 100,
            min_effect: MinEffect::Payout(0.0005),
            power: 0.8,
            futility: 0.3,
            most_seeds: None,
            incumbent_seeds: 12,
            remeasure: RemeasureSettings::default(),
            constraints: ConstraintSettings::default(),
            simplify: None,
        }
    }
}

/// What a keep claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The spec earns more than the incumbent whatever the seed, in eras like these: noise of seeds and of eras counts.
    #[default]
    NewEras,
    /// The spec earns more than the incumbent whatever the seed, in exactly these eras: only the noise of seeds counts.
    TheseEras,
}

/// What is kept small over the many trials of a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The chance that any keep among `trials` trials is false (each trial is tested at `alpha / trials`; Bonferroni, so
    /// whatever the trials have in common).
    #[default]
    Familywise,
    /// The expected share of false keeps among all keeps (LORD++: each keep earns level for later trials).
    DiscoveryRate,
    /// Nothing: each trial is tested at `alpha`, and false keeps add up over the night.
    None,
}

/// The smallest gain that counts.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum MinEffect {
    /// One standard error of a comparison at the most seeds, by the last `calibrate`; 0 before the first.
    #[default]
    Auto,
    /// A payout.
    Payout(f64),
}

impl Serialize for MinEffect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Payout(payout) => serializer.serialize_f64(*payout),
        }
    }
}

impl<'de> Deserialize<'de> for MinEffect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = MinEffect;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a payout, or `auto`")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<MinEffect, E> {
                Err(E::custom("found nothing; must be a payout such as 0.0005, or `auto`"))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<MinEffect, A::Error> {
                Err(serde::de::Error::custom("found a list; must be a payout such as 0.0005, or `auto`"))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<MinEffect, E> {
                Ok(MinEffect::Payout(value))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<MinEffect, E> {
                Ok(MinEffect::Payout(value as f64))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<MinEffect, E> {
                Ok(MinEffect::Payout(value as f64))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<MinEffect, E> {
                match value {
                    "auto" => Ok(MinEffect::Auto),
                    other => Err(E::custom(format!("found `{other}`; must be a payout such as 0.0005, or `auto`"))),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// When the incumbent is measured on seeds that nothing was selected by, and when it has failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemeasureSettings {
    /// After so many keeps; 0: only on demand.
    pub every_keeps: u32,
    /// On so many fresh seeds, for the incumbent and for its predecessor.
    pub seeds: u32,
    /// It stands while the one-sided p-value of its gain over its predecessor, on the fresh seeds alone, is at most this.
    pub level: f64,
}

impl Default for RemeasureSettings {
    fn default() -> Self {
        Self { every_keeps: 5, seeds: 6, level: 0.25 }
    }
}

/// What a candidate must hold to be kept, whatever its payout. None: no bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConstraintSettings {
    /// The most that predictions may correlate with the benchmark, mean over eras.
    pub correlation_with_benchmark: Option<f64>,
    /// The largest drawdown of the cumulative payout over eras, in payout.
    pub drawdown: Option<f64>,
    /// The largest mean over eras of the largest absolute correlation of predictions with a feature.
    pub feature_exposure: Option<f64>,
    /// The least share of eras with a positive payout.
    pub positive_eras: Option<f64>,
}

/// When a smaller model takes the incumbent's place without being better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimplifySettings {
    /// It may be worse by at most this payout.
    pub margin: f64,
    /// It has at most this share of the incumbent's parameters.
    pub parameters: f64,
    /// The level at which being worse by more than the margin must be ruled out, in (0, 0.5].
    pub alpha: f64,
}

impl Default for SimplifySettings {
    fn default() -> Self {
        Self { margin: 0.001, parameters: 0.7, alpha: 0.05 }
    }
}
