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

/// The wait until a limit or a quota is reset, by the headers that tell of it: OpenAI's `x-ratelimit-reset-requests` and
/// `-tokens` (`1s`, `6m0s`), Anthropic's `anthropic-ratelimit-requests-reset` and its like (a date), and the plain
/// `x-ratelimit-reset` or `ratelimit-reset` (seconds, or a time in seconds or milliseconds since 1970). Limits that are
/// not used up do not count where the server says what remains; of several that are, the last to be reset does.
pub fn reset_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let mut used_up = Vec::new();
    let mut any = Vec::new();
    for (remaining, reset) in RESETS {
        let Some(wait) = text(reset).and_then(|said| moment(said, now)) else { continue };
        any.push(wait);
        if text(remaining).is_none_or(|left| left.parse::<f64>().is_ok_and(|left| left <= 0.0)) {
            used_up.push(wait);
        }
    }
    used_up.into_iter().max().or_else(|| any.into_iter().max())
}

/// What tells how much remains, and what tells when it is reset.
const RESETS: [(&str, &str); 7] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// A number of seconds, a time since 1970, a date of RFC 3339, or a span such as `1h2m3.5s` or `250ms`.
fn moment(said: &str, now: jiff::Timestamp) -> Option<Duration> {
    let seconds = if let Ok(number) = said.parse::<f64>() {
        let now = now.as_millisecond() as f64 / 1000.0;
        match number {
            // A wait of thirty years is none: that is a time, in milliseconds from the year 5000 or so on.
            number if number >= 1e11 => number / 1000.0 - now,
            number if number >= 1e9 => number - now,
            number => number,
        }
    } else if let Ok(date) = said.parse::<jiff::Timestamp>() {
        date.duration_since(now).as_secs_f64()
    } else {
        span(said)?
    };
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

/// Seconds of `1d2h3m4.5s` and `250ms`: numbers, each with its unit.
fn span(said: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = said;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let unit = rest[digits..].find(|letter: char| letter.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let scale = match &rest[digits..unit] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += rest[..digits].parse::<f64>().ok()? * scale;
        rest = &rest[unit..];
    }
    (!said.is_empty()).then_some(total)
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
    fn the_ways_to_tell_of_a_reset() {
        let now: jiff::Timestamp = "2026-03-01T00:00:00Z".parse().expect("a time");
        /// Headers, seconds, why.
        type Row = (&'static [(&'static str, &'static str)], Option<f64>, &'static str);
        let table: &[Row] = &[
            (&[("x-ratelimit-reset-requests", "1s")], Some(1.0), "a span"),
            (&[("x-ratelimit-reset-tokens", "6m0s")], Some(360.0), "minutes"),
            (&[("x-ratelimit-reset-tokens", "1h2m3.5s")], Some(3723.5), "hours"),
            (&[("x-ratelimit-reset-tokens", "250ms")], Some(0.25), "milliseconds"),
            (
                &[
                    ("x-ratelimit-remaining-requests", "59"),
                    ("x-ratelimit-reset-requests", "1m"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "6s"),
                ],
                Some(6.0),
                "what is used up counts",
            ),
            (
                &[
                    ("x-ratelimit-remaining-requests", "59"),
                    ("x-ratelimit-reset-requests", "1m"),
                    ("x-ratelimit-remaining-tokens", "12"),
                    ("x-ratelimit-reset-tokens", "6s"),
                ],
                Some(60.0),
                "too little of something remains, and nobody says of what",
            ),
            (&[("anthropic-ratelimit-requests-reset", "2026-03-01T00:00:40Z")], Some(40.0), "a date"),
            (&[("x-ratelimit-reset", "30")], Some(30.0), "seconds"),
            (&[("x-ratelimit-reset", "1772323230")], Some(30.0), "since 1970"),
            (&[("x-ratelimit-reset", "1772323230000")], Some(30.0), "since 1970 in milliseconds"),
            (&[("x-ratelimit-reset", "1700000000")], Some(0.0), "past"),
            (&[("x-ratelimit-reset", "soon")], None, "words"),
            (&[("x-ratelimit-reset", "")], None, "nothing"),
            (&[("x-ratelimit-reset", "5")], Some(5.0), "a bare number"),
            (&[("x-ratelimit-reset", "5x")], None, "an unknown unit"),
            (&[("x-ratelimit-reset", "1e400")], None, "no number"),
            (&[], None, "no header"),
        ];
        for (said, expected, why) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *said {
                headers.insert(*name, value.parse().expect("a header"));
            }
            assert_eq!(reset_after(&headers, now).map(|wait| wait.as_secs_f64()), *expected, "{why}");
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
