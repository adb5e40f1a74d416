//! Whose turn it is, and who is left alone for how long.

use super::*;
use crate::research::event::Event;
use crate::research::sample::{baseline, ended, judged, trial};
use crate::research::trial::TrialRecord;

fn settings(kind: Kind) -> ResearcherSettings {
    let mut settings = ResearcherSettings { kind, ..ResearcherSettings::default() };
    // An endpoint on this machine needs no key.
    settings.openai.base_url = "http://127.0.0.1:9/v1".into();
    settings
}

fn team(adjust: impl FnOnce(&mut ResearcherSettings)) -> Team {
    let mut settings = settings(Kind::Mix);
    adjust(&mut settings);
    Team::new(&settings, &Templates::embedded().expect("templates")).expect("a team")
}

fn by(name: &str, mut record: TrialRecord) -> Event {
    record.proposal.researcher = name.into();
    ended(record)
}

fn nobody() -> BTreeMap<String, usize> {
    BTreeMap::new()
}

/// Lets a team propose so many times and counts who did.
fn proposed(team: &Team, times: u32) -> BTreeMap<Kind, u32> {
    let mut history = History::from_events(&[ended(baseline(0.01))]);
    let mut counts = BTreeMap::new();
    for number in 1..=times {
        let kind = team.turn(&history, &nobody(), Instant::now());
        *counts.entry(kind).or_default() += 1;
        history.apply(&by(kind.name(), trial(number, Verdict::Discard)));
    }
    counts
}

fn outage() -> ErrorKind {
    ErrorKind::Server { endpoint: "here".into(), attempts: 1, status: 503, message: "busy".into(), retry_after: None }
}

fn fail(team: &mut Team, kind: Kind, failure: &ErrorKind, now: Instant) {
    let researcher = team.researcher(kind).expect("it takes part");
    team.put_back(kind, researcher, Some(failure), now, 0.0);
}

#[test]
fn shares_are_kept_to_the_trial() {
    let counts = proposed(&team(|_| {}), 40);
    assert_eq!(counts, BTreeMap::from([(Kind::Optimizer, 20), (Kind::Openai, 20)]));
    let counts = proposed(
        &team(|settings| settings.mix.shares = BTreeMap::from([(Kind::Openai, 3.0), (Kind::Optimizer, 1.0)])),
        40,
    );
    assert_eq!(counts, BTreeMap::from([(Kind::Optimizer, 10), (Kind::Openai, 30)]), "they need not add up to one");
    let alone = Team::new(&settings(Kind::Openai), &Templates::embedded().expect("templates")).expect("a team");
    assert_eq!(proposed(&alone, 5), BTreeMap::from([(Kind::Openai, 5)]));
    assert_eq!((alone.name().as_str(), team(|_| {}).name().as_str()), ("openai", "mix of optimizer and openai"));
}

#[test]
fn what_is_under_way_counts() {
    let team = team(|_| {});
    let history = History::from_events(&[ended(baseline(0.01))]);
    let asked = BTreeMap::from([("openai".to_owned(), 4)]);
    assert_eq!(team.turn(&history, &asked, Instant::now()), Kind::Optimizer, "four of openai's are on their way");
    let asked = BTreeMap::from([("optimizer".to_owned(), 1)]);
    assert_eq!(team.turn(&history, &asked, Instant::now()), Kind::Openai);
}

#[test]
fn one_that_fails_rests_ever_longer_and_comes_back() {
    let mut team = Team::new(&settings(Kind::Openai), &Templates::embedded().expect("templates")).expect("a team");
    let history = History::from_events(&[ended(baseline(0.01))]);
    let start = Instant::now();
    let mut now = start;
    for seconds in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        fail(&mut team, Kind::Openai, &outage(), now);
        assert_eq!(team.resting(now), [(Kind::Openai, seconds)]);
        let almost = now + Duration::from_secs(seconds - 1);
        assert_eq!(team.turn(&history, &nobody(), almost), Kind::Optimizer, "the ladder");
        assert_eq!(team.writer(almost), None);
        now += Duration::from_secs(seconds);
        assert_eq!(team.turn(&history, &nobody(), now), Kind::Openai, "asked again after {seconds} s");
        assert_eq!(team.writer(now), Some(Kind::Openai));
    }
    let researcher = team.researcher(Kind::Openai).expect("it takes part");
    team.put_back(Kind::Openai, researcher, None, now, 0.0);
    fail(&mut team, Kind::Openai, &outage(), now);
    assert_eq!(team.resting(now), [(Kind::Openai, 30)], "an answer starts it all anew");
}

#[test]
fn a_server_says_how_long_and_a_person_takes_longer() {
    let mut team = team(|_| {});
    let now = Instant::now();
    let limited = ErrorKind::RateLimited {
        endpoint: "here".into(),
        attempts: 1,
        message: "slow down".into(),
        retry_after: Some(Duration::from_secs(7_200)),
    };
    fail(&mut team, Kind::Openai, &limited, now);
    assert_eq!(team.resting(now), [(Kind::Openai, 7_200)]);
    let mut team = self::team(|_| {});
    let wrong =
        ErrorKind::Auth { endpoint: "here".into(), status: 401, message: "no such key".into(), place: "KEY".into() };
    fail(&mut team, Kind::Openai, &wrong, now);
    assert_eq!(team.resting(now), [(Kind::Openai, 3_600)]);
    let researcher = team.researcher(Kind::Openai).expect("it takes part");
    team.put_back(Kind::Openai, researcher, Some(&wrong), now, 0.999);
    let (_, seconds) = team.resting(now)[0];
    assert!((3_600..=4_500).contains(&seconds), "spread by a quarter at most: {seconds}");
}

#[test]
fn the_ladder_is_climbed_in_its_order() {
    let mut team = team(|settings| {
        settings.kind = Kind::Random;
        settings.ladder = vec![Kind::Openai, Kind::Optimizer];
    });
    let (history, now) = (History::from_events(&[ended(baseline(0.01))]), Instant::now());
    assert_eq!(team.turn(&history, &nobody(), now), Kind::Random);
    assert_eq!(team.instant_stand_in(), Kind::Optimizer);
    fail(&mut team, Kind::Random, &outage(), now);
    assert_eq!(team.turn(&history, &nobody(), now), Kind::Openai);
    fail(&mut team, Kind::Openai, &outage(), now);
    assert_eq!(team.turn(&history, &nobody(), now), Kind::Optimizer);
    fail(&mut team, Kind::Optimizer, &outage(), now);
    assert_eq!(team.turn(&history, &nobody(), now), Kind::Optimizer, "somebody has to");
}

/// Beta(1, 9): a keep in ten tries is a worth of 2/20, none of ten is 1/20, so two to one.
#[test]
fn a_bandit_moves_shares_to_who_is_kept_and_says_so() {
    let team = team(|settings| settings.mix.bandit = true);
    let mut history = History::from_events(&[ended(baseline(0.01))]);
    assert_eq!(team.shares_in_words(&history), None, "nothing is known yet");
    for number in 1..=20 {
        let name = if number % 2 == 0 { "openai" } else { "optimizer" };
        history.apply(&by(name, judged(number, "loss", &[], (number == 2, 0.001, 0.01))));
    }
    let shares: BTreeMap<Kind, f64> = team.shares(&history).into_iter().collect();
    assert!((shares[&Kind::Openai] - 2.0 / 3.0).abs() < 1e-12, "{shares:?}");
    let words = team.shares_in_words(&history).expect("they have moved");
    assert!(words.contains("openai 67 % (configured 50 %)"), "{words}");
    for number in 21..=400 {
        history.apply(&by("optimizer", judged(number, "loss", &[], (number % 2 == 0, 0.001, 0.01))));
    }
    let shares: BTreeMap<Kind, f64> = team.shares(&history).into_iter().collect();
    assert!(shares[&Kind::Openai] >= 0.09, "nobody is shut out for good: {shares:?}");
}

#[test]
fn one_that_brings_nothing_usable_rests_from_the_second_time_on() {
    let mut team = Team::new(&settings(Kind::Openai), &Templates::embedded().expect("templates")).expect("a team");
    let now = Instant::now();
    for wanted in [vec![], vec![(Kind::Openai, 30)], vec![(Kind::Openai, 60)]] {
        let researcher = team.researcher(Kind::Openai).expect("it takes part");
        team.put_back(Kind::Openai, researcher, None, now, 0.0);
        team.brought(Kind::Openai, false, now, 0.0);
        assert_eq!(team.resting(now), wanted);
    }
    let researcher = team.researcher(Kind::Openai).expect("it takes part");
    team.put_back(Kind::Openai, researcher, None, now, 0.0);
    team.brought(Kind::Openai, true, now, 0.0);
    assert_eq!(team.resting(now), []);
}
