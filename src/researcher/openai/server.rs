//! A scripted endpoint over a real loopback socket, in place of the network.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends a response: status, headers, body.
    Send(u16, Vec<(&'static str, String)>, String),
    /// Sends half of a response and cuts the connection.
    Cut,
    /// Cuts the connection without a word.
    Close,
    /// Answers with 503 after a while.
    Late(Duration),
    /// Sends a byte now and then, for ever.
    Drip,
    /// Never answers.
    Hang,
    /// Sends bytes until the client has had enough.
    Flood,
}

impl Act {
    /// A chat completion that says `text`.
    pub(super) fn says(text: &str) -> Self {
        let reply = serde_json::json!({
            "id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": text } }],
            "usage": { "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100 },
        });
        Self::Send(200, Vec::new(), reply.to_string())
    }

    /// An error page in OpenAI's form.
    pub(super) fn fails(status: u16, message: &str, code: &str) -> Self {
        let body = serde_json::json!({ "error": { "message": message, "type": "error", "code": code, "param": null } });
        Self::Send(status, Vec::new(), body.to_string())
    }

    /// The same with a header.
    pub(super) fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Send(status, mut headers, body) => {
                headers.push((name, value.to_owned()));
                Self::Send(status, headers, body)
            }
            other => other,
        }
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: serde_json::Value,
}

/// A server that follows its script, one act a request; the last act is repeated.
pub(super) struct Server {
    pub(super) base_url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (script.clone(), Arc::clone(&log));
                tokio::spawn(serve(stream, script, log));
            }
        });
        Self { base_url, requests, task }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no holder panics").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: Vec<Act>, log: Arc<Mutex<Vec<Request>>>) {
    let Some(request) = read(&mut stream).await else { return };
    let act = {
        let mut log = log.lock().expect("no holder panics");
        log.push(request);
        script.get(log.len() - 1).or_else(|| script.last()).cloned()
    };
    // The client may hang up at any time, and that is its right.
    match act {
        Some(Act::Send(status, headers, body)) => {
            let extra: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n",
                body.len()
            );
            let _gone = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
        Some(Act::Cut) => {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\": [").await;
        }
        Some(Act::Close) | None => {}
        Some(Act::Late(wait)) => {
            tokio::time::sleep(wait).await;
            let head = "HTTP/1.1 503 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            let _gone = stream.write_all(head.as_bytes()).await;
        }
        Some(Act::Drip) => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                sent = stream.write_all(b" ").await;
            }
        }
        Some(Act::Hang) => tokio::time::sleep(Duration::from_secs(600)).await,
        Some(Act::Flood) => {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\"").await;
            let junk = vec![b'x'; 1 << 16];
            while stream.write_all(&junk).await.is_ok() {}
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    let (head, start) = loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 4);
        }
    };
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    while bytes.len() < start + length {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
    let body = serde_json::from_slice(&bytes[start..start + length]).ok()?;
    Some(Request { head, body })
}
