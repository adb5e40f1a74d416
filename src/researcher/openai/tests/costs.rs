//! What calls cost that brought nothing.

use super::*;

#[tokio::test]
async fn prompts_that_arrived_are_paid_for_though_nothing_came_back() {
    let prompt = |requests: &[super::server::Request]| -> u64 {
        let messages = requests[0].body["messages"].as_array().expect("a list").clone();
        messages.iter().map(|message| u64::from(tokens(message["content"].as_str().expect("a text")))).sum()
    };
    // (what the server does, retries, prompts that are paid for)
    let table =
        [(Act::Cut, 1, 2), (Act::Hang, 3, 2), (Act::Flood, 3, 1), (Act::Send(500, Vec::new(), "no".into()), 1, 0)];
    for (act, retries, paid) in table {
        let what = format!("{act:?}");
        let (outcome, requests) = play_with(vec![act], |settings| {
            settings.retries = retries;
            settings.timeout_seconds = 1;
        })
        .await;
        let usage = outcome.expect_err("no answer").usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (paid * prompt(&requests), 0), "{what}");
        assert!((usage.cost_usd - usage.input_tokens as f64 * 1e-6).abs() < 1e-12, "{what}");
    }
    // One that was cut, and then a whole one with a bill of its own.
    let (outcome, requests) = play(vec![Act::Cut, Act::says(&good())]).await;
    let usage = outcome.expect("a proposal").usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (1000 + prompt(&requests), 100));
    let settings = OpenAiSettings { retries: 2, ..settings("http://127.0.0.1:1/v1") };
    let unreached = propose(&Lab::new(BASE), &mut researcher(&settings), &[]).await.expect_err("nobody listens");
    assert_eq!(unreached.usage.input_tokens, 0);
}

#[tokio::test]
async fn a_model_that_never_answers_in_form_is_given_up() {
    let (outcome, requests) = play(vec![Act::says("No.")]).await;
    let error = outcome.expect_err("never readable");
    assert!(matches!(error.kind, ErrorKind::Malformed { .. }), "{error}");
    assert_eq!(requests.len(), 3, "two repairs");
    assert_eq!(error.usage.output_tokens, 300, "what it cost is known");
}
