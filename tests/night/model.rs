//! In the place of a language model: a server on the loopback that speaks the wire format of chat completions, makes
//! plausible edits of the incumbent that it finds in the prompt, and fails in every way that servers and models do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What goes wrong, in turn, every few calls.
const FAULTS: [&str; 13] = [
    "429 with Retry-After",
    "500",
    "503 with a page of HTML",
    "a cut connection",
    "no answer in time",
    "truncated JSON",
    "prose",
    "an empty answer",
    "a refusal",
    "ten megabytes",
    "an invalid spec",
    "a model that was tried before",
    "what is ruled out",
];

struct State {
    calls: usize,
    faults: BTreeMap<&'static str, usize>,
    longest: usize,
    prompts: Vec<String>,
    dice: u64,
    last: Option<String>,
}

pub(crate) struct Model {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Model {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let faults = FAULTS.iter().map(|fault| (*fault, 0)).collect();
        let state = State { calls: 0, faults, longest: 0, prompts: Vec::new(), dice: 1, last: None };
        let state = Arc::new(Mutex::new(state));
        let own = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&own);
                // One that does not answer must not keep the others waiting.
                std::thread::spawn(move || {
                    // A client that hangs up early is not the server's trouble.
                    let _ = serve(stream, &state);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn faults(&self) -> BTreeMap<&'static str, usize> {
        self.state.lock().expect("no holder panics").faults.clone()
    }

    pub(crate) fn longest_prompt(&self) -> usize {
        self.state.lock().expect("no holder panics").longest
    }

    pub(crate) fn a_prompt_holds(&self, text: &str) -> bool {
        self.state.lock().expect("no holder panics").prompts.iter().any(|prompt| prompt.contains(text))
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (fault, text) = answer(&body, state);
    let mut stream = reader.into_inner();
    match fault {
        Some("429 with Retry-After") => fail(&mut stream, "429 X", "retry-after: 1\r\n", "slow down"),
        Some("500") => fail(&mut stream, "500 X", "", "it broke"),
        Some("503 with a page of HTML") => send(&mut stream, "503 X", "", "<html><body>maintenance</body></html>"),
        Some("a cut connection") => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"id\": \"chat"),
        Some("no answer in time") => {
            std::thread::sleep(std::time::Duration::from_secs(30));
            Ok(())
        }
        Some("truncated JSON") => send(&mut stream, "200 OK", "", &completion(&text, "stop").to_string()[..60]),
        Some("ten megabytes") => send(&mut stream, "200 OK", "", &"x".repeat(10 << 20)),
        Some("a refusal") => {
            let mut body = completion("", "stop");
            body["choices"][0]["message"]["refusal"] = "I would rather not.".into();
            body["choices"][0]["message"]["content"] = Value::Null;
            send(&mut stream, "200 OK", "", &body.to_string())
        }
        _ => send(&mut stream, "200 OK", "", &completion(&text, "stop").to_string()),
    }
}

fn fail(stream: &mut TcpStream, status: &str, headers: &str, message: &str) -> std::io::Result<()> {
    let body = json!({ "error": { "message": message, "type": "error", "code": null, "param": null } });
    send(stream, status, headers, &body.to_string())
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// As in OpenAI's API reference, `POST /v1/chat/completions`.
fn completion(text: &str, reason: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "scripted",
        "choices": [{ "index": 0, "finish_reason": reason, "message": { "role": "assistant", "content": text } }],
        "usage": { "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100 },
    })
}

/// What is said to a request, and what goes wrong with it.
fn answer(body: &Value, state: &Mutex<State>) -> (Option<&'static str>, String) {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let words: Vec<&str> = messages.iter().filter_map(|message| message["content"].as_str()).collect();
    let mut state = state.lock().expect("no holder panics");
    state.longest = state.longest.max(words.iter().map(|text| text.chars().count()).sum());
    // All prompts of a night are much; what a secret would be in is in the last of each message.
    state.prompts.extend(words.last().map(|text| (*text).to_owned()));
    // Proposals alone ask for a form of reply.
    if body["response_format"].is_null() {
        return (None, learnings(&words));
    }
    state.calls += 1;
    let fault = state.calls.is_multiple_of(3).then(|| FAULTS[(state.calls / 3) % FAULTS.len()]);
    if let Some(fault) = fault {
        *state.faults.entry(fault).or_default() += 1;
    }
    let incumbent = words.iter().rev().find_map(|text| incumbent(text)).unwrap_or_default();
    let text = match fault {
        Some("prose") => "Here is a thought: wider nets may help.".to_owned(),
        Some("an empty answer") => String::new(),
        Some("an invalid spec") => proposal("Broken", "network: [ { dens: { width: 8 } } ]\n").to_string(),
        Some("a model that was tried before") => {
            let tried = state.last.clone().unwrap_or_else(|| incumbent.clone());
            proposal("Again", &tried).to_string()
        }
        Some("what is ruled out") => {
            let silu = match incumbent.split_once("activation: ") {
                Some((before, rest)) => {
                    let end = rest.find([',', ' ', '}', '\n']).unwrap_or(rest.len());
                    format!("{before}activation: silu{}", &rest[end..])
                }
                None => incumbent.replacen("width:", "activation: silu, width:", 1),
            };
            proposal("SiLU", &silu).to_string()
        }
        _ => {
            let candidates: Vec<Value> = (0..4).map(|_| edit(&incumbent, &mut state)).collect();
            json!({ "candidates": candidates }).to_string()
        }
    };
    (fault, text)
}

/// The YAML below the heading of the incumbent.
fn incumbent(prompt: &str) -> Option<String> {
    let (_, rest) = prompt.split_once("# The incumbent\n")?;
    let (_, rest) = rest.split_once("yaml\n")?;
    let end = rest.lines().take_while(|line| !line.trim_start().starts_with("```")).collect::<Vec<_>>();
    Some(end.join("\n") + "\n")
}

fn proposal(title: &str, spec: &str) -> Value {
    json!({
        "title": title, "hypothesis": "It may follow the score better.", "category": "optimizer",
        "expected_effect": 0.001, "spec": spec,
    })
}

/// An edit of the incumbent: one of its numbers times something, or another activation.
fn edit(incumbent: &str, state: &mut State) -> Value {
    let mut roll = |sides: u64| {
        // Marsaglia's xorshift.
        state.dice ^= state.dice << 13;
        state.dice ^= state.dice >> 7;
        state.dice ^= state.dice << 17;
        state.dice % sides
    };
    let mut spec: Value = match serde_yaml::from_str(incumbent) {
        Ok(spec) => spec,
        Err(_) => return proposal("Lost", incumbent),
    };
    let factor = [0.5, 0.7, 1.4, 2.0, 3.0][roll(5) as usize];
    let title = match roll(6) {
        0 => {
            let old = spec["optimizer"]["adamw"]["lr"].as_f64().unwrap_or(1e-3);
            spec["optimizer"] =
                json!({ "adamw": { "lr": old * factor, "weight_decay": 1e-4 * (1 + roll(20)) as f64 } });
            "Another rate"
        }
        1 => {
            spec["training"]["epochs"] = json!(5 + roll(40));
            "Another length"
        }
        2 => {
            spec["optimizer"]["adamw"]["weight_decay"] = json!(1e-4 * (1 + roll(30)) as f64);
            "Another decay"
        }
        3 => {
            spec["network"] = json!([
                { "dense": { "width": 16 * (1 + roll(30)), "activation": "gelu" } },
                { "dense": { "width": 16 * (1 + roll(20)), "activation": "gelu" } },
                { "dense": { "width": 8 * (1 + roll(20)) } },
            ]);
            "Three layers"
        }
        4 => {
            spec["training"]["batch_rows"] = json!(64 * (1 + roll(8)));
            "Another batch"
        }
        _ => {
            let blocks = spec["network"].as_array().map_or(1, Vec::len).max(1) as u64;
            let index = roll(blocks) as usize;
            if spec["network"][index]["dense"].is_object() {
                spec["network"][index]["dense"]["width"] = json!(8 * (1 + roll(60)));
            }
            "Another width"
        }
    };
    let text = serde_yaml::to_string(&spec).unwrap_or_default();
    state.last = Some(text.clone());
    proposal(title, &text)
}

/// The old text with one more line.
fn learnings(words: &[&str]) -> String {
    let old = words.iter().rev().find_map(|text| {
        let (_, rest) = text.split_once("# learnings.md as it stands\n")?;
        let (_, rest) = rest.split_once("markdown\n")?;
        Some(rest.lines().take_while(|line| !line.trim_start().starts_with("```")).collect::<Vec<_>>().join("\n"))
    });
    old.unwrap_or_default()
}
