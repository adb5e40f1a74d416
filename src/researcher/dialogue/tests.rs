//! Conversations with a speaker whose words are written down beforehand.

use std::collections::VecDeque;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::research::evidence::evidence;
use crate::researcher::optimizer::testing::Lab;

const BASE: &str = "network: [ { dense: { width: 32 } } ]\n";

struct Scripted {
    templates: Templates,
    replies: VecDeque<Completion>,
    heard: Vec<(Vec<Said>, Wanted)>,
    max_prompt_tokens: u32,
    repairs: u32,
    meter: Meter,
    /// What the meter said while each call was under way.
    on_the_way: Vec<(Usage, bool)>,
}

impl Scripted {
    fn new(replies: Vec<String>) -> Self {
        let reply = |text| Completion { text, ..Completion::default() };
        Self {
            templates: Templates::embedded().expect("templates"),
            replies: replies.into_iter().map(reply).collect(),
            heard: Vec::new(),
            max_prompt_tokens: 24_000,
            repairs: 2,
            meter: Meter::default(),
            on_the_way: Vec::new(),
        }
    }
}

impl Speaker for Scripted {
    fn manner(&self) -> Manner<'_> {
        Manner {
            name: "scripted",
            templates: &self.templates,
            repairs: self.repairs,
            max_prompt_tokens: self.max_prompt_tokens,
            prompt_setting: "researcher.scripted.max_prompt_tokens",
            max_output_tokens: 8_000,
            prices: (1.0, 2.0),
            meter: &self.meter,
        }
    }

    async fn say(&mut self, conversation: &[Said], wanted: Wanted, usage: &mut Usage) -> Result<Completion, ErrorKind> {
        self.heard.push((conversation.to_vec(), wanted));
        self.on_the_way.push(self.meter.read());
        usage.add(&Usage { input_tokens: 1_001, output_tokens: 103, cost_usd: 0.01, seconds: 1.0 });
        Ok(self.replies.pop_front().expect("the script has another reply"))
    }
}

fn candidate(title: &str) -> serde_json::Value {
    json!({ "title": title, "hypothesis": "Why not.", "category": "loss", "expected_effect": null, "spec": BASE })
}

fn rejection(title: &str, error: &str) -> Rejection {
    let draft = Draft {
        title: title.into(),
        hypothesis: "Why not.".into(),
        category: "loss".into(),
        expected_effect: None,
        spec: BASE.into(),
    };
    let base = Spec::parse(BASE, "base").expect("a spec");
    Rejection { proposal: proposal(draft, &base, "scripted", Usage::default()), error: error.into() }
}

async fn ask(speaker: &mut Scripted, count: usize, rejected: &[Rejection]) -> Result<Vec<Proposal>, ResearcherError> {
    let lab = Lab::new(BASE);
    let (misses, found) = (Vec::new(), evidence(&lab.history));
    propose(speaker, &lab.briefing(&misses, &found), &Ask { count, rejected }).await
}

#[tokio::test]
async fn several_candidates_share_what_they_cost() {
    let list = json!({ "candidates": [candidate("A"), { "title": "no spec" }, candidate("C"), candidate("D")] });
    let mut speaker = Scripted::new(vec![list.to_string()]);
    let found = ask(&mut speaker, 4, &[]).await.expect("three can be read");
    assert_eq!(found.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(), ["A", "C", "D"]);
    assert_eq!(found.iter().map(|one| one.usage.input_tokens).collect::<Vec<_>>(), [334, 334, 333]);
    assert_eq!(found.iter().map(|one| one.usage.output_tokens).sum::<u64>(), 103);
    let [(conversation, wanted)] = speaker.heard.as_slice() else { panic!("one call") };
    assert_eq!(*wanted, Wanted::Proposals(4));
    assert!(conversation[1].text().contains("Propose 4 candidates"), "{}", conversation[1].text());
}

#[tokio::test]
async fn what_a_conversation_costs_is_on_the_meter_while_it_lasts() {
    let mut speaker = Scripted::new(vec!["no proposal".into(), candidate("A").to_string()]);
    ask(&mut speaker, 1, &[]).await.expect("the second reply can be read");
    let sent = |call: usize| -> u64 { speaker.heard[call].0.iter().map(|said| u64::from(tokens(said.text()))).sum() };
    let [(first, true), (second, true)] = speaker.on_the_way.as_slice() else { panic!("{:?}", speaker.on_the_way) };
    assert_eq!((first.input_tokens, first.output_tokens), (sent(0), 0), "of the first, what was sent is estimated");
    assert!((first.cost_usd - sent(0) as f64 / 1e6).abs() < 1e-12, "at its price");
    assert_eq!((second.input_tokens, second.output_tokens), (1_001 + sent(1), 103), "then what it cost is known");
    let (all, estimated) = speaker.meter.read();
    assert_eq!((all.input_tokens, all.output_tokens, estimated), (2_002, 206, false));
}

#[tokio::test]
async fn no_more_than_were_asked_for() {
    let list = json!({ "candidates": [candidate("A"), candidate("B"), candidate("C")] });
    let found = ask(&mut Scripted::new(vec![list.to_string()]), 2, &[]).await.expect("two");
    assert_eq!(found.len(), 2);
    let found = ask(&mut Scripted::new(vec![list.to_string()]), 1, &[]).await.expect("one");
    assert_eq!(found.len(), 1);
    let found = ask(&mut Scripted::new(vec![candidate("A").to_string()]), 4, &[]).await.expect("fewer");
    assert_eq!(found.len(), 1, "an object of its own is accepted");
}

#[tokio::test]
async fn rejected_candidates_come_back_with_their_titles_and_errors() {
    let rejected = [
        rejection("First of all", "network[0]: unknown block `dens`"),
        rejection("Second of all", "tried before, as trial 7"),
    ];
    let mut speaker = Scripted::new(vec![candidate("A").to_string()]);
    ask(&mut speaker, 2, &rejected).await.expect("one");
    let conversation = &speaker.heard[0].0;
    assert_eq!(conversation.len(), 4);
    let echo: serde_json::Value = serde_json::from_str(conversation[2].text()).expect("the model's own form");
    assert_eq!(echo["candidates"][1]["title"], "Second of all");
    let words = conversation[3].text();
    for part in ["First of all", "unknown block `dens`", "Second of all", "as trial 7", "2 candidates are wanted now"] {
        assert!(words.contains(part), "{part} is not in {words}");
    }
    let many: Vec<Rejection> =
        (0..50).map(|number| rejection(&format!("number {number}"), &"e".repeat(9_000))).collect();
    let mut speaker = Scripted::new(vec![candidate("A").to_string()]);
    ask(&mut speaker, 1, &many).await.expect("one");
    let words = speaker.heard[0].0[3].text();
    assert!(words.contains("number 49") && !words.contains("number 40"), "the latest alone");
    assert!(words.contains("one candidate is wanted now"), "{words}");
}

#[tokio::test]
async fn conversations_stay_within_their_limit_however_often_they_are_mended() {
    let noise = "no JSON at all, and a lot of it\n".repeat(2_000);
    let rejected: Vec<Rejection> =
        (0..6).map(|number| rejection(&format!("number {number}"), &"wrong ".repeat(4_000))).collect();
    for limit in [20_000, 24_000, 60_000] {
        let mut speaker = Scripted::new(vec![noise.clone(), String::new(), noise.clone()]);
        speaker.max_prompt_tokens = limit;
        // What was sent back before has used up six of them.
        speaker.repairs = 8;
        let error = ask(&mut speaker, 4, &rejected).await.expect_err("never readable");
        assert!(matches!(error.kind, ErrorKind::Malformed { .. }), "{error}");
        assert_eq!(error.usage.output_tokens, 309, "all of it is paid for");
        for (conversation, _) in &speaker.heard {
            let total: u32 = conversation.iter().map(|said| tokens(said.text())).sum();
            assert!(total <= limit, "{total} of {limit}");
            assert!(conversation.iter().all(|said| !said.text().trim().is_empty()), "no turn is empty");
            let sides: Vec<bool> = conversation.iter().map(|said| matches!(said, Said::Assistant(_))).collect();
            assert!(sides.windows(2).skip(1).all(|pair| pair[0] != pair[1]), "the sides take turns");
        }
        assert_eq!(speaker.heard[2].0.len(), 6, "the latest repair alone is shown");
    }
}

#[tokio::test]
async fn of_a_reply_that_was_cut_off_the_whole_candidates_are_taken() {
    let list = json!({ "candidates": [candidate("A"), candidate("B")] }).to_string();
    let cut = |text: &str| Completion { text: text.into(), truncated: true, ..Completion::default() };
    let mut speaker = Scripted::new(Vec::new());
    speaker.replies.push_back(cut(&list[..list.len() - 20]));
    let found = ask(&mut speaker, 2, &[]).await.expect("one is whole");
    assert_eq!(found.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(), ["A"]);
    speaker.replies.push_back(cut(&list[..40]));
    let error = ask(&mut speaker, 2, &[]).await.expect_err("none is whole");
    assert_eq!(error.kind, ErrorKind::Truncated { limit: 8_000 });
}

#[tokio::test]
async fn what_a_prompt_needs_is_said_in_terms_of_its_setting() {
    let mut speaker = Scripted::new(Vec::new());
    speaker.max_prompt_tokens = 2_000;
    let error = ask(&mut speaker, 1, &[]).await.expect_err("the reference alone is longer").to_string();
    assert!(error.contains("researcher.scripted.max_prompt_tokens is 2000"), "{error}");
}

proptest! {
    #[test]
    fn shares_add_up_exactly(
        input in 0_u64..1 << 50, output in 0_u64..1 << 50, cost in 0.0..1e6_f64, seconds in 0.0..1e6_f64, count in 1_usize..20,
    ) {
        let usage = Usage { input_tokens: input, output_tokens: output, cost_usd: cost, seconds };
        let shares = shares(usage, count);
        prop_assert_eq!(shares.len(), count);
        let mut sum = Usage::default();
        shares.iter().for_each(|share| sum.add(share));
        prop_assert_eq!(sum, usage);
        prop_assert!(shares.iter().all(|share| share.cost_usd >= 0.0 && share.seconds >= 0.0));
    }
}
