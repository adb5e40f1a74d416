# Sourced by the commands beside it: sets `root` (the repository), `work` (their folder inside target/, which git
# ignores), and makes what is missing there.
#
#   AUTORESEARCH_BINARY   a program that is built already; without it the release build is brought up to date
#   AUTORESEARCH_PYTHON   a Python that has torch/requirements.txt; without it a virtual environment is made
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$root/target/benchmarks
mkdir -p "$work"

# Sets `binary`. Arguments go to cargo, as `--features cuda`. A copy is measured: builds may go on beside it.
need_binary() {
  binary=${AUTORESEARCH_BINARY:-}
  if [ -z "$binary" ]; then
    (cd "$root" && cargo build --release --locked --bin autoresearch "$@" >&2)
    binary=$work/autoresearch
    cp "$root/target/release/autoresearch" "$binary"
  elif [ ! -x "$binary" ]; then
    echo "AUTORESEARCH_BINARY: $binary is no program" >&2
    exit 2
  fi
}

# Sets `python`.
need_python() {
  python=${AUTORESEARCH_PYTHON:-}
  [ -z "$python" ] || return 0
  python=$work/python/bin/python
  if [ ! -f "$work/python/complete" ]; then
    python3 -m venv "$work/python"
    "$python" -m pip install --quiet -r "$root/benchmarks/torch/requirements.txt" >&2
    touch "$work/python/complete"
  fi
}

# Runs a program of measure/, from the repository's root, which is where the specs' paths begin.
measure() {
  cd "$root"
  PYTHONPATH=benchmarks/torch "$python" "benchmarks/measure/$1.py" --binary "$binary" --work "$work" "${@:2}"
}
