//! How long to wait before a call is made again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use reqwest::header::HeaderMap;

/// Exponential back-off with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure, before jitter.
    pub first: Duration,
    /// No wait is longer, the server's wish included.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(120) }
    }
}

impl Backoff {
    /// The wait after attempt number `attempt` (from 1). The server's own wish is honoured, and never undercut.
    pub fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        // Keyed hashing is the one source of chance that the standard library has; it need not be reproducible.
        let chance = RandomState::new().hash_one(attempt) as f64 / u64::MAX as f64;
        self.pause_by(attempt, asked, chance)
    }

    /// The same for a given draw in [0, 1].
    fn pause_by(&self, attempt: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32 << (attempt.saturating_sub(1)).min(16));
        // Between half and the whole of it, so that several loops do not come back at the same moment.
        let jittered = doubled.min(self.longest).mul_f64(0.5 + 0.5 * chance);
        match asked {
            Some(asked) => (asked + self.first.mul_f64(0.1 * chance)).min(self.longest.max(asked)),
            None => jittered,
        }
    }
}

/// The wait that a server asks for: `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |number: f64| (number.is_finite() && number >= 0.0).then(|| Duration::from_secs_f64(number.min(1e9)));
    if let Some(wait) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return seconds(wait / 1000.0);
    }
    let asked = text("retry-after")?;
    if let Ok(number) = asked.parse::<f64>() {
        return seconds(number);
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(asked).ok()?;
    seconds(date.duration_since(now).as_secs_f64().max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_jittered_and_bounded() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        // (attempt, asked, draw, milliseconds, why)
        let table = [
            (1, None, 1.0, 1_000, "the first wait"),
            (1, None, 0.0, 500, "jitter goes down to half"),
            (3, None, 1.0, 4_000, "doubled twice"),
            (40, None, 1.0, 30_000, "bounded"),
            (1, Some(7), 0.0, 7_000, "the server's wish"),
            (1, Some(7), 1.0, 7_100, "never undercut"),
        ];
        for (attempt, asked, chance, expected, why) in table {
            let wait = backoff.pause_by(attempt, asked.map(Duration::from_secs), chance);
            assert_eq!(wait.as_millis(), expected, "{why}");
        }
    }

    #[test]
    fn the_ways_to_ask_for_patience() {
        let now: jiff::Timestamp = "2026-03-01T00:00:00Z".parse().expect("a time");
        let table = [
            ("retry-after", "2", Some(2.0)),
            ("retry-after-ms", "250", Some(0.25)),
            ("retry-after", "Sun, 01 Mar 2026 00:00:30 GMT", Some(30.0)),
            ("retry-after", "Sat, 28 Feb 2026 00:00:00 GMT", Some(0.0)),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
            ("retry-after", "1e400", None),
            ("x-other", "1", None),
        ];
        for (name, value, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            assert_eq!(retry_after(&headers, now).map(|wait| wait.as_secs_f64()), expected, "{name}: {value}");
        }
    }
}
