//! The real client against a scripted server over a real socket.

mod costs;

use std::time::{Duration, Instant};

use super::server::{Act, Server};
use super::*;
use crate::research::learnings;
use crate::research::trial::Proposal;
use crate::research::trial::Verdict;
use crate::researcher::briefing::{Briefing, Rejection};
use crate::researcher::optimizer::testing::Lab;
use crate::researcher::{Ask, dialogue};

const BASE: &str = "network: [ { dense: { width: 32 } } ]\n";
const KEY: &str = "sk-test-0123456789-very-secret";

fn good() -> String {
    json!({
        "title": "Wider", "hypothesis": "More room.", "category": "architecture", "expected_effect": 0.001,
        "spec": "network: [ { dense: { width: 64 } } ]\n",
    })
    .to_string()
}

fn settings(base_url: &str) -> OpenAiSettings {
    OpenAiSettings {
        base_url: base_url.into(),
        model: "some-model".into(),
        key_variable: "SOME_KEY".into(),
        temperature: Some(0.7),
        timeout_seconds: 5,
        retries: 3,
        ..OpenAiSettings::default()
    }
}

fn researcher(settings: &OpenAiSettings) -> OpenAi {
    with(Some(Key::new(KEY, "SOME_KEY").expect("a key")), settings)
}

fn with(key: Option<Key>, settings: &OpenAiSettings) -> OpenAi {
    let quick = Backoff { first: Duration::from_millis(5), longest: Duration::from_secs(3) };
    let templates = Templates::embedded().expect("templates");
    let mut openai = OpenAi::with_key(settings, 2, templates, key, quick).expect("an endpoint");
    openai.price = Some(Price { input: 1.0, output: 10.0 });
    openai
}

/// Proposes once against a script; the outcome, and the requests that the server saw.
async fn play(script: Vec<Act>) -> (Result<Proposal, ResearcherError>, Vec<super::server::Request>) {
    play_with(script, |_| {}).await
}

async fn play_with(
    script: Vec<Act>,
    adjust: impl FnOnce(&mut OpenAiSettings),
) -> (Result<Proposal, ResearcherError>, Vec<super::server::Request>) {
    let server = Server::start(script).await;
    let mut settings = settings(&server.base_url);
    adjust(&mut settings);
    let mut openai = researcher(&settings);
    let lab = Lab::new(BASE);
    // A briefing borrows, and `brief` takes a closure that returns: the call is driven to its end inside.
    let outcome = propose(&lab, &mut openai, &[]).await;
    (outcome, server.requests())
}

async fn propose(lab: &Lab, openai: &mut OpenAi, rejected: &[Rejection]) -> Result<Proposal, ResearcherError> {
    let misses = Vec::new();
    let evidence = crate::research::evidence::evidence(&lab.history);
    let ask = Ask { count: 1, rejected };
    let mut found = dialogue::propose(openai, &lab.briefing(&misses, &evidence), &ask).await?;
    assert_eq!(found.len(), 1, "as many as were asked for");
    Ok(found.remove(0))
}

fn kind(outcome: Result<Proposal, ResearcherError>) -> ErrorKind {
    outcome.expect_err("an error was expected").kind
}

#[tokio::test]
async fn a_good_reply_is_a_proposal() {
    let (outcome, requests) = play(vec![Act::says(&good())]).await;
    let proposal = outcome.expect("a proposal");
    assert_eq!((proposal.title.as_str(), proposal.researcher.as_str()), ("Wider", NAME));
    assert_eq!(proposal.spec, "network: [ { dense: { width: 64 } } ]\n");
    assert_eq!((proposal.usage.input_tokens, proposal.usage.output_tokens), (1000, 100));
    assert!((proposal.usage.cost_usd - 0.002).abs() < 1e-12, "1000 tokens at 1 and 100 at 10 dollars a million");
    let [request] = requests.as_slice() else { panic!("one call was enough: {}", requests.len()) };
    assert!(request.head.starts_with("POST /v1/chat/completions "), "{}", request.head);
    assert!(request.head.contains(KEY), "the key goes into its header");
    assert_eq!(request.body["model"], "some-model");
    assert_eq!(request.body["response_format"]["type"], "json_schema");
    assert_eq!(request.body["max_tokens"], 8000);
    let roles: Vec<&str> =
        request.body["messages"].as_array().expect("a list").iter().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user"]);
    assert!(!request.body.to_string().contains(KEY), "and nowhere else");
}

#[tokio::test]
async fn a_fenced_reply_with_thoughts_is_read_too() {
    let text = format!("<think>wider?</think>Here you are:\n```json\n{}\n```", good());
    let (outcome, _) = play(vec![Act::says(&text)]).await;
    assert_eq!(outcome.expect("a proposal").title, "Wider");
}

#[tokio::test]
async fn an_unreadable_reply_goes_back_with_the_reason() {
    let (outcome, requests) = play(vec![Act::says("I would widen it."), Act::says(&good())]).await;
    let proposal = outcome.expect("the second reply is good");
    assert_eq!(proposal.usage.input_tokens, 2000, "both calls are paid for");
    let messages = requests[1].body["messages"].as_array().expect("a list").clone();
    assert_eq!(messages[2]["content"], "I would widen it.");
    assert!(messages[3]["content"].as_str().is_some_and(|text| text.contains("holds no proposal")));
}

#[tokio::test]
async fn refusals_of_the_server_are_named_and_final() {
    let quota = Act::fails(429, "You exceeded your current quota", "insufficient_quota");
    let table = [
        (Act::fails(401, "Incorrect API key provided", "invalid_api_key"), "check the key in SOME_KEY"),
        (Act::fails(403, "not allowed", ""), "check the key in SOME_KEY"),
        (
            Act::fails(404, "The model `some-model` does not exist", "model_not_found"),
            "does not know the model `some-model`",
        ),
        (Act::fails(400, "no such model", "model_not_found"), "does not know the model `some-model`"),
        (quota, "no credit left"),
        (Act::Send(200, Vec::new(), "[1, 2]".into()), "sent no chat completion"),
        (Act::fails(402, "Payment required", ""), "no credit left"),
        (Act::fails(418, "I'm a teapot", ""), "did not accept the request (418)"),
        (Act::Send(200, Vec::new(), "<html>Welcome</html>".into()), "its reply is no JSON"),
        (Act::Send(200, Vec::new(), "{\"error\": {\"message\": \"overloaded\"}}".into()), "overloaded"),
        (
            Act::Send(302, vec![("location", "https://elsewhere.example".into())], String::new()),
            "redirects to https://elsewhere.example",
        ),
    ];
    for (act, part) in table {
        let (outcome, requests) = play(vec![act]).await;
        let error = outcome.expect_err(part).to_string();
        assert!(error.contains(part), "wanted {part:?} in {error:?}");
        assert_eq!(requests.len(), 1, "{part}: asking again would not help");
    }
}

#[tokio::test]
async fn the_servers_patience_is_honoured() {
    let slow_down = Act::fails(429, "Rate limit reached", "rate_limit_exceeded");
    let script =
        vec![slow_down.clone().with("retry-after-ms", "300"), slow_down.with("Retry-After", "1"), Act::says(&good())];
    let started = Instant::now();
    let (outcome, requests) = play(script).await;
    outcome.expect("the third attempt succeeds");
    assert_eq!(requests.len(), 3);
    assert!(started.elapsed() >= Duration::from_millis(1300), "0.3 s and 1 s were asked for: {:?}", started.elapsed());
}

#[tokio::test]
async fn too_much_patience_is_left_to_the_loop() {
    let script = vec![Act::fails(429, "come back tomorrow", "").with("retry-after", "86400")];
    let (outcome, requests) = play(script).await;
    let ErrorKind::RateLimited { retry_after, .. } = kind(outcome) else { panic!("a rate limit") };
    assert_eq!(retry_after, Some(Duration::from_secs(86_400)));
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn passing_trouble_is_outlasted_or_given_up() {
    let broken = || Act::fails(503, "overloaded", "");
    let (outcome, requests) = play(vec![broken(), Act::Cut, Act::fails(500, "oops", ""), Act::says(&good())]).await;
    outcome.expect("the fourth attempt succeeds");
    assert_eq!(requests.len(), 4);
    let (outcome, requests) = play(vec![broken()]).await;
    let error = outcome.expect_err("it never recovers");
    assert!(!error.kind.needs_a_person(), "{error}");
    assert!(error.to_string().contains("failed 4 times, last with 503: overloaded"), "{error}");
    assert_eq!(requests.len(), 4, "three retries");
}

#[tokio::test]
async fn a_connection_that_is_always_cut_is_named() {
    let (outcome, _) = play_with(vec![Act::Cut], |settings| settings.retries = 1).await;
    assert!(matches!(kind(outcome), ErrorKind::Network { attempts: 2, .. }));
}

#[tokio::test]
async fn nobody_there_is_named() {
    let settings = OpenAiSettings { retries: 0, ..settings("http://127.0.0.1:1/v1") };
    let outcome = propose(&Lab::new(BASE), &mut researcher(&settings), &[]).await;
    let error = outcome.expect_err("nobody listens on port 1").to_string();
    assert!(error.starts_with("http://127.0.0.1:1/v1 could not be reached"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_the_time_limit() {
    let started = Instant::now();
    let (outcome, requests) = play_with(vec![Act::Hang], |settings| settings.timeout_seconds = 1).await;
    assert!(matches!(kind(outcome), ErrorKind::Timeout { seconds: 1, attempts: 2, .. }));
    assert_eq!(requests.len(), 2, "a time-out is tried once more, not as often as a short failure");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let huge = Act::Send(200, Vec::new(), format!("\"{}\"", "x".repeat(2 << 20)));
    for act in [Act::Flood, huge] {
        let (outcome, _) = play(vec![act]).await;
        assert!(matches!(kind(outcome), ErrorKind::TooLarge { limit: transport::MAX_REPLY_BYTES, .. }));
    }
    let (outcome, _) =
        play_with(vec![Act::Send(500, Vec::new(), "y".repeat(1 << 20))], |settings| settings.retries = 0).await;
    let error = outcome.expect_err("an error page").to_string();
    assert!(error.len() < 1_000, "error pages are cut short: {} bytes", error.len());
}

#[tokio::test]
async fn a_reply_cut_off_at_the_limit_says_which_setting_to_raise() {
    let body = json!({"choices": [{"finish_reason": "length", "message": {"content": "{\"title\": \"Wi"}}]});
    let (outcome, requests) = play(vec![Act::Send(200, Vec::new(), body.to_string())]).await;
    assert_eq!(kind(outcome), ErrorKind::Truncated { limit: 8000 });
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn a_refusal_of_the_model_is_named() {
    let body =
        json!({"choices": [{"finish_reason": "stop", "message": {"content": null, "refusal": "I cannot help."}}]});
    let (outcome, _) = play(vec![Act::Send(200, Vec::new(), body.to_string())]).await;
    assert_eq!(kind(outcome), ErrorKind::Refused { message: "I cannot help.".into() });
}

#[tokio::test]
async fn what_the_server_does_not_take_is_left_out() {
    let script = vec![
        Act::fails(400, "response_format json_schema is not supported", "invalid_request_error"),
        Act::fails(400, "unknown parameter response_format", "invalid_request_error"),
        Act::fails(400, "Unsupported value: 'temperature' does not support 0.7", "unsupported_value"),
        Act::fails(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'", "unsupported_parameter"),
        Act::says(&good()),
    ];
    let (outcome, requests) = play(script).await;
    outcome.expect("the fifth dialect is understood");
    let forms: Vec<_> = requests.iter().map(|request| request.body["response_format"]["type"].as_str()).collect();
    assert_eq!(forms, [Some("json_schema"), Some("json_object"), None, None, None]);
    assert!(requests[2].body.get("temperature").is_some() && requests[3].body.get("temperature").is_none());
    assert_eq!(requests[4].body["max_completion_tokens"], 8000);
    assert!(requests[4].body.get("max_tokens").is_none());
}

#[tokio::test]
async fn the_key_is_in_no_error() {
    let echoing = format!("Incorrect API key provided: {KEY}. You sent Bearer {KEY}.");
    for act in [
        Act::fails(401, &echoing, KEY),
        Act::fails(400, &echoing, ""),
        Act::fails(500, &echoing, ""),
        Act::fails(429, &echoing, ""),
        Act::Send(200, Vec::new(), echoing.clone()),
        Act::Send(200, Vec::new(), json!({ "error": echoing }).to_string()),
        Act::Send(200, Vec::new(), json!({"choices": [{"message": {"refusal": echoing}}]}).to_string()),
    ] {
        let (outcome, _) = play_with(vec![act], |settings| settings.retries = 0).await;
        let error = outcome.expect_err("an error");
        assert!(error.to_string().contains("[key]"), "the server's words are in it, without the key: {error}");
        assert!(!format!("{error} {error:?}").contains("very-secret"), "{error:?}");
    }
    let settings = settings("http://localhost:1/v1");
    assert!(!format!("{:?}", researcher(&settings)).contains("very-secret"), "nor in a debug print");
}

#[tokio::test]
async fn a_local_server_needs_no_key() {
    let server = Server::start(vec![Act::says(&good())]).await;
    let quick = Backoff { first: Duration::from_millis(1), longest: Duration::from_secs(1) };
    let templates = Templates::embedded().expect("templates");
    let mut openai = OpenAi::with_key(&settings(&server.base_url), 0, templates, None, quick).expect("an endpoint");
    propose(&Lab::new(BASE), &mut openai, &[]).await.expect("a proposal");
    let head = server.requests()[0].head.to_ascii_lowercase();
    assert!(!head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn rejected_proposals_are_shown_with_their_errors() {
    let server = Server::start(vec![Act::says(&good())]).await;
    let mut openai = researcher(&settings(&server.base_url));
    let lab = Lab::new(BASE);
    let first = propose(&lab, &mut openai, &[]).await.expect("a proposal");
    let rejected = [Rejection { proposal: first, error: "openai:1:3: network[0]: unknown block `dens`".into() }];
    propose(&lab, &mut openai, &rejected).await.expect("a proposal");
    let messages = server.requests()[1].body["messages"].as_array().expect("a list").clone();
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[2]["role"], "assistant");
    assert!(messages[3]["content"].as_str().is_some_and(|text| text.contains("unknown block `dens`")));
}

#[tokio::test]
async fn a_prompt_that_cannot_fit_is_said_before_anything_is_sent() {
    let (outcome, requests) = play_with(vec![Act::says(&good())], |settings| settings.max_prompt_tokens = 50).await;
    let ErrorKind::PromptTooLong { needed, limit, .. } = kind(outcome) else { panic!("too long") };
    assert!(limit == 50 && needed > 500);
    assert!(requests.is_empty());
}

#[tokio::test]
async fn a_key_that_was_not_sent_was_not_refused() {
    let server = Server::start(vec![Act::fails(401, "Unauthorized", "")]).await;
    let error = with(None, &settings(&server.base_url)).check().await.expect_err("it wants one").kind;
    assert!(error.needs_a_person() && matches!(error, ErrorKind::KeyWanted { status: 401, .. }), "{error}");
    let words = error.to_string();
    assert!(words.contains("variable SOME_KEY is not set") && !words.contains("refused"), "{words}");
}

#[tokio::test]
async fn learnings_are_synthesized_and_peoples_notes_put_back() {
    let text = "```markdown\n# Learnings\n\n## What works\n\n- Width (trial 1).\n```";
    let server = Server::start(vec![Act::says(text)]).await;
    let mut openai = researcher(&settings(&server.base_url));
    let mut lab = Lab::new(BASE);
    lab.trial(&BASE.replace("32", "64"), Verdict::Discard, 0.0004);
    let (misses, evidence) = (Vec::new(), crate::research::evidence::evidence(&lab.history));
    let old = "# Learnings\n\n## What works\n\nNothing yet.\n\n## Notes by people\n\nMind the gap.\n";
    let briefing = Briefing { learnings: old, ..lab.briefing(&misses, &evidence) };
    let last = lab.history.trials().last().expect("a trial").clone();
    let synthesis = dialogue::synthesize(&mut openai, &briefing, &last).await.expect("a document");
    assert!(
        synthesis.text.contains("- Width (trial 1).") && synthesis.text.ends_with("Mind the gap.\n"),
        "{}",
        synthesis.text
    );
    learnings::accept(old, &synthesis.text).expect("it may replace the old one");
    assert!(server.requests()[0].body.get("response_format").is_none(), "a document is no JSON");
}

#[tokio::test]
async fn doctor_gets_one_honest_answer() {
    let server = Server::start(vec![Act::says("OK"), Act::fails(503, "down", "")]).await;
    let openai = researcher(&settings(&server.base_url));
    let (fine, _) = openai.check().await.expect("it answers");
    assert!(
        fine.starts_with("some-model at http://127.0.0.1:") && fine.ends_with("with the key in SOME_KEY"),
        "{fine}"
    );
    openai.check().await.expect_err("it is down");
    assert_eq!(server.requests().len(), 2, "a person waits: no retries");
}

#[tokio::test]
async fn several_candidates_are_asked_for_in_their_own_form() {
    let list = json!({ "candidates": [serde_json::from_str::<Value>(&good()).expect("JSON"), { "title": "no spec" }] });
    let server = Server::start(vec![Act::says(&list.to_string())]).await;
    let mut openai = researcher(&settings(&server.base_url));
    let lab = Lab::new(BASE);
    let (misses, evidence) = (Vec::new(), crate::research::evidence::evidence(&lab.history));
    let ask = Ask { count: 4, rejected: &[] };
    let found = dialogue::propose(&mut openai, &lab.briefing(&misses, &evidence), &ask).await.expect("one is readable");
    assert_eq!(found.len(), 1);
    let format = server.requests()[0].body["response_format"]["json_schema"].clone();
    assert_eq!((&format["name"], &format["strict"]), (&json!("candidates"), &json!(true)));
    assert_eq!(format["schema"]["required"], json!(["candidates"]));
}

#[tokio::test]
async fn how_long_a_server_wants_to_be_left_alone_is_passed_on() {
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&tomorrow).expect("a date");
    let limit = Act::fails(429, "Rate limit reached", "rate_limit_exceeded");
    let quota = Act::fails(429, "You exceeded your current quota", "insufficient_quota");
    // (act, hours, why)
    let table = [
        (limit.clone().with("retry-after", "72000"), 20.0, "seconds"),
        (limit.clone().with("retry-after", &date), 20.0, "a date"),
        (limit.with("x-ratelimit-reset-tokens", "20h0m0s"), 20.0, "a limit's reset"),
        (quota.clone().with("x-ratelimit-reset-requests", "20h"), 20.0, "a quota's reset"),
        (quota.with("retry-after", "72000"), 20.0, "a quota that says so in seconds"),
        (Act::fails(503, "maintenance", "").with("retry-after", "72000"), 20.0, "maintenance"),
    ];
    for (act, hours, why) in table {
        let (outcome, requests) = play(vec![act]).await;
        let error = outcome.expect_err(why).kind;
        let rest = error.retry_after().unwrap_or_else(|| panic!("{why}: {error}")).as_secs_f64() / 3600.0;
        assert!((rest - hours).abs() < 0.01 && !error.needs_a_person(), "{why}: {rest}");
        assert_eq!(requests.len(), 1, "{why}: nobody waits that long in a call");
    }
    let (outcome, _) = play_with(vec![Act::fails(503, "down", "")], |settings| settings.retries = 0).await;
    assert_eq!(kind(outcome).retry_after(), None);
}

#[tokio::test]
async fn what_is_cut_off_is_asked_for_again_and_what_is_no_completion_is_not() {
    let whole = json!({"choices": [{"message": {"content": good()}}]}).to_string();
    let cut = Act::Send(200, Vec::new(), whole[..whole.len() / 2].to_owned());
    let empty = Act::Send(200, Vec::new(), String::new());
    let (outcome, requests) = play(vec![cut.clone(), empty, Act::Close, Act::says(&good())]).await;
    outcome.expect("the fourth attempt is whole");
    assert_eq!(requests.len(), 4);
    let (outcome, requests) = play(vec![cut]).await;
    let error = kind(outcome);
    assert!(matches!(error, ErrorKind::Garbled { attempts: 4, .. }) && !error.needs_a_person(), "{error}");
    assert_eq!(requests.len(), 4);
    let page = Act::Send(200, Vec::new(), "<html>Down for maintenance</html>".into());
    let (outcome, requests) = play(vec![page]).await;
    assert!(!kind(outcome).needs_a_person(), "a page may be gone in an hour");
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn an_error_that_is_sent_as_a_success_is_an_error() {
    let hidden = |code: Value| {
        let body = json!({ "error": { "message": "the server behind this one says no", "code": code } });
        Act::Send(200, Vec::new(), body.to_string())
    };
    let (outcome, requests) = play(vec![hidden(json!(502)), hidden(json!("429")), Act::says(&good())]).await;
    outcome.expect("the third attempt succeeds");
    assert_eq!(requests.len(), 3);
    let (outcome, requests) = play(vec![hidden(json!(401))]).await;
    assert!(matches!(kind(outcome), ErrorKind::Auth { status: 401, .. }));
    assert_eq!(requests.len(), 1);
    let (outcome, _) = play(vec![hidden(json!("strange"))]).await;
    assert!(matches!(kind(outcome), ErrorKind::Garbled { .. }));
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again() {
    let (outcome, requests) = play(vec![Act::says(""), Act::says("<think>hm</think> "), Act::says(&good())]).await;
    let proposal = outcome.expect("the third answer says something");
    assert_eq!(proposal.usage.input_tokens, 3000);
    let messages = requests[1].body["messages"].as_array().expect("a list").clone();
    assert_eq!(messages[2]["content"], "(nothing)", "some servers refuse an empty turn");
    assert!(messages[3]["content"].as_str().is_some_and(|text| text.contains("the reply is empty")));
}

#[tokio::test]
async fn ten_megabytes_are_not_read() {
    let (outcome, requests) = play(vec![Act::says(&"x".repeat(10 << 20))]).await;
    let error = kind(outcome);
    assert!(matches!(error, ErrorKind::TooLarge { .. }) && !error.needs_a_person(), "{error}");
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn a_server_that_drips_is_left_after_the_time_limit() {
    let (outcome, _) = play_with(vec![Act::Drip], |settings| {
        settings.timeout_seconds = 1;
        settings.retries = 0;
    })
    .await;
    assert!(matches!(kind(outcome), ErrorKind::Timeout { seconds: 1, attempts: 1, .. }));
}

#[tokio::test]
async fn all_attempts_together_have_a_limit_too() {
    let started = Instant::now();
    let slow = Act::Late(Duration::from_millis(700));
    let (outcome, requests) = play_with(vec![slow], |settings| {
        settings.timeout_seconds = 1;
        settings.retries = 20;
    })
    .await;
    let error = kind(outcome);
    assert!(matches!(error, ErrorKind::Server { .. } | ErrorKind::Timeout { .. }), "{error}");
    assert!((3..=5).contains(&requests.len()), "{} attempts in three seconds", requests.len());
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_key_from_a_file_is_sent_and_shown_nowhere() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("changed");
    let echo = good().replace("More room.", &format!("The key is {KEY}."));
    let server = Server::start(vec![Act::says(&echo), Act::fails(401, &format!("no such key: {KEY}"), "")]).await;
    let openai = OpenAiSettings { key_file: Some(path.clone()), ..settings(&server.base_url) };
    let whole = ResearcherSettings { openai, ..ResearcherSettings::default() };
    let mut openai = OpenAi::new(&whole, Templates::embedded().expect("templates")).expect("the key is fine");
    let lab = Lab::new(BASE);
    let proposal = propose(&lab, &mut openai, &[]).await.expect("a proposal");
    assert_eq!(proposal.hypothesis, "The key is [key].", "what a server echoes does not end in a commit");
    let error = propose(&lab, &mut openai, &[]).await.expect_err("the key is refused");
    assert!(error.to_string().contains(&format!("check the key in {}", path.display())), "{error}");
    for request in server.requests() {
        assert!(request.head.contains(KEY) && !request.body.to_string().contains("very-secret"));
    }
    assert!(!format!("{error} {error:?} {openai:?} {whole:?} {proposal:?}").contains("very-secret"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("changed");
    let error = OpenAi::new(&whole, Templates::embedded().expect("templates")).expect_err("anybody can read it");
    assert!(error.to_string().contains("chmod 600") && error.kind.needs_a_person(), "{error}");
}
