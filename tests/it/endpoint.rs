//! A scripted endpoint on the loopback that speaks the wire format of chat completions.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// An answer to a request for a proposal.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The model says this.
    Says(String),
    /// The model takes its time, and then says this.
    SaysLate(Duration, String),
    /// The server fails with a status and a message.
    Fails(u16, String),
}

/// What the server has seen, and what it will say.
struct Script {
    proposals: VecDeque<Answer>,
    /// When the proposals are used up.
    afterwards: Answer,
    learnings: Answer,
    requests: Vec<(String, Value)>,
}

/// A server. It answers requests for proposals (they ask for a form of reply) by its script, all others with the
/// text for learnings.md, and keeps what it was sent.
pub(crate) struct Endpoint {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    pub(crate) fn start(proposals: Vec<Answer>, afterwards: Answer, learnings: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let script = Script { proposals: proposals.into(), afterwards, learnings, requests: Vec::new() };
        let script = Arc::new(Mutex::new(script));
        let over = Arc::new(AtomicBool::new(false));
        let (own_script, own_over) = (Arc::clone(&script), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if own_over.load(Ordering::SeqCst) {
                    return;
                }
                // A client that hangs up early is not the server's trouble.
                let _ = stream.and_then(|stream| serve(stream, &own_script));
            }
        });
        Self { address, script, over, thread: Some(thread) }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests so far: head and body.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        self.script.lock().expect("no holder panics").requests.clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is over.
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            // A test that fails says more than a thread that did.
            let _ = thread.join();
        }
    }
}

/// Whether a request asks for a proposal: those alone ask for a form of reply.
pub(crate) fn proposes(body: &Value) -> bool {
    body.get("response_format").is_some_and(|format| !format.is_null())
}

fn serve(stream: TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
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
    let answer = {
        let mut script = script.lock().expect("no holder panics");
        let asked = proposes(&body);
        script.requests.push((head, body));
        if asked {
            script.proposals.pop_front().unwrap_or_else(|| script.afterwards.clone())
        } else {
            script.learnings.clone()
        }
    };
    let (status, body) = match answer {
        Answer::Says(text) => (200, completion(&text)),
        Answer::SaysLate(wait, text) => {
            std::thread::sleep(wait);
            (200, completion(&text))
        }
        Answer::Fails(status, message) => {
            (status, json!({ "error": { "message": message, "type": "error", "code": null, "param": null } }))
        }
    };
    let body = body.to_string();
    let reply = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    reader.into_inner().write_all(reply.as_bytes())
}

/// As in OpenAI's API reference, `POST /v1/chat/completions`.
fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "scripted",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": text } }],
        "usage": { "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100 },
    })
}
