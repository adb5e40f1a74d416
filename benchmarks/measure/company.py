"""Seconds a verdict with company and without: the same proposals, played by an endpoint on the loopback, to both in turn."""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROUND = 5
LEARNINGS = "# Learnings\n"


def note(text: str) -> None:
    """Progress, to standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


class Player(BaseHTTPRequestHandler):
    """Answers requests for proposals with the next round, all others with a text."""

    rounds: list[str] = []
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = LEARNINGS
        if body.get("response_format"):
            with Player.lock:
                text = Player.rounds.pop(0) if Player.rounds else "nothing more"
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "player", "choices": choices, "usage": usage}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def run(binary: Path, lab: Path, *words: str) -> None:
    """A command that must succeed."""
    environment = {**os.environ, "PLAYER_KEY": "none"}
    done = subprocess.run([binary, "--lab", lab, *words], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} in {lab} failed:\n{done.stderr}")


def configure(lab: Path, **settings: str) -> None:
    """Sets values of autoresearch.yaml, and commits them."""
    path = lab / "autoresearch.yaml"
    text = path.read_text()
    for key, value in settings.items():
        text, found = re.subn(rf"(?m)^( *){key}: \S+", rf"\g<1>{key}: {value}", text, count=1)
        if not found:
            raise SystemExit(f"autoresearch.yaml has no `{key}`")
    path.write_text(text)
    commit = ["git", "-C", lab, "-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qam", "settings"]
    subprocess.run(commit, check=True)


def ledger(lab: Path) -> list[dict[str, Any]]:
    """The ledger's lines."""
    return [json.loads(line) for line in (lab / "runs" / "ledger.jsonl").read_text().splitlines()]


def records(lab: Path) -> list[dict[str, Any]]:
    """The trials after the baseline, oldest first."""
    ended = [line["event"]["record"] for line in ledger(lab) if line["event"]["event"] == "trial_ended"]
    return [record for record in ended if record["incumbent"] is not None]


def seconds(lab: Path, trials: int) -> float:
    """Wall-clock from the start of the first of the last trials to the end of the last."""
    lines = ledger(lab)
    moment = lambda line: datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
    started = [moment(line) for line in lines if line["event"]["event"] == "trial_started"]
    ended = [moment(line) for line in lines if line["event"]["event"] == "trial_ended"]
    return ended[-1] - started[-trials]


def processor() -> float:
    """Seconds of processor time of all programs that were run, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--trials", type=int, required=True)
    asked = parser.parse_args()
    work = asked.work / "company"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    source, base = work / "source", work / "base"
    run(asked.binary, work, "init", str(base), "--preset", "demo")
    configure(base, device="cpu", most_seeds="6")
    # The baseline, and an incumbent worth the name with all seeds that a comparison begins with.
    run(asked.binary, base, "run", "--trials", "1", "--researcher", "optimizer")
    shutil.copytree(base, source, symlinks=True)
    note("what the optimizer proposes")
    run(asked.binary, source, "run", "--trials", str(asked.trials), "--researcher", "optimizer")
    tried = records(source)[1:]
    spec = lambda record: (source / "runs" / f"{record['trial']:06}" / "spec.yaml").read_text()
    candidates = [
        {
            "title": f"{number} {record['proposal']['title']}",
            "hypothesis": "It was tried.",
            "category": record["proposal"]["category"],
            "expected_effect": None,
            "spec": spec(record),
        }
        for number, record in enumerate(tried)
    ]
    rounds = [candidates[first : first + ROUND] for first in range(0, len(candidates), ROUND)]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Player)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in cpu.splitlines() if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    print(f"# benchmarks/company.sh {asked.pairs} {asked.trials}, commit {commit}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    print(f"# {os.cpu_count()} cores {model}; demo market, the optimizer's proposals in rounds of {ROUND}")
    print("# seconds of the clock a verdict, and of the processors, which other programs disturb less")
    print(f"{'pair':>4} {'alone':>7} {'together':>9} {'ratio':>6} {'CPU alone':>10} {'together':>9} {'ratio':>6} {'verdicts that differ':>21}")
    ratios, cpu_ratios = [], []
    for pair in range(asked.pairs):
        found: dict[str, tuple[float, float, list[Any]]] = {}
        arms = [("1", "alone"), ("null", "together")]
        for most, name in arms if pair % 2 == 0 else arms[::-1]:
            lab = work / f"{name}-{pair}"
            shutil.copytree(base, lab, symlinks=True)
            configure(lab, side_by_side=most, base_url=address, key_variable="PLAYER_KEY", candidates=str(ROUND))
            # Structured output shows which requests are for proposals.
            Player.rounds = [json.dumps({"candidates": some}) for some in rounds]
            note(f"pair {pair}: {name}")
            before = processor()
            run(asked.binary, lab, "run", "--trials", str(len(candidates)), "--researcher", "openai")
            used = processor() - before
            judged = records(lab)[1:]
            facts = [(one["proposal"]["title"], one["verdict"], one["spec_hash"]) for one in judged]
            found[name] = (seconds(lab, len(judged)) / len(judged), used / len(judged), facts)
            shutil.rmtree(lab)
        (alone, cpu_alone, one), (together, cpu_together, other) = found["alone"], found["together"]
        ratios.append(alone / together)
        cpu_ratios.append(cpu_alone / cpu_together)
        differ = sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))
        wall = f"{alone:>7.2f} {together:>9.2f} {ratios[-1]:>6.2f}"
        print(f"{pair:>4} {wall} {cpu_alone:>10.2f} {cpu_together:>9.2f} {cpu_ratios[-1]:>6.2f} {differ:>21}", flush=True)
    print(f"median ratio, alone / together: {statistics.median(ratios):.2f}; of processor time {statistics.median(cpu_ratios):.2f}")
    server.shutdown()


if __name__ == "__main__":
    main()
