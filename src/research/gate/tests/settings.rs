//! The settings as they are written in autoresearch.yaml.

use crate::research::gate::settings::{Claim, Control, GateSettings, MinEffect};

fn read(text: &str) -> Result<GateSettings, serde_yaml::Error> {
    serde_yaml::from_str(text)
}

#[test]
fn the_minimum_effect_is_a_payout_or_auto() {
    for (text, wanted) in [
        ("auto", MinEffect::Auto),
        ("0.0005", MinEffect::Payout(0.0005)),
        ("0", MinEffect::Payout(0.0)),
        ("1e-3", MinEffect::Payout(0.001)),
        ("-1", MinEffect::Payout(-1.0)),
    ] {
        let found = read(&format!("min_effect: {text}\n")).expect("it reads").min_effect;
        assert_eq!(found, wanted, "{text}");
        let again = serde_yaml::to_string(&found).expect("written");
        assert_eq!(serde_yaml::from_str::<MinEffect>(&again).expect("read again"), wanted);
    }
    for wrong in ["automatic", "[0.1]", "{ payout: 0.1 }", "true", "null"] {
        let error = read(&format!("min_effect: {wrong}\n")).expect_err("it is none of the two").to_string();
        assert!(error.contains("payout") && error.contains("auto"), "{wrong}: {error}");
    }
}

#[test]
fn settings_survive_being_written() {
    let settings = GateSettings {
        claim: Claim::TheseEras,
        control: Control::DiscoveryRate,
        min_effect: MinEffect::Auto,
        most_seeds: Some(48),
        simplify: Some(crate::research::gate::settings::SimplifySettings::default()),
        ..GateSettings::default()
    };
    let text = serde_yaml::to_string(&settings).expect("written");
    assert!(text.contains("these_eras") && text.contains("discovery_rate"), "{text}");
    assert_eq!(read(&text).expect("read"), settings);
    assert_eq!(read("{}").expect("all have defaults"), GateSettings::default());
    for unknown in
        ["screen_alpha: 0.3", "remeasure: { every: 1 }", "constraints: { drawdowns: 1 }", "simplify: { margins: 1 }"]
    {
        assert!(read(unknown).is_err(), "{unknown}");
    }
}
