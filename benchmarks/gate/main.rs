//! The gate on arrays: what it keeps over thousands of trials whose truth is known. Run by benchmarks/gate.sh.
//!
//! Nothing of the gate is imitated here: [`Race`], its contrasts, bounds, levels and the pool of seed variances are the
//! program's own, and only the training is replaced, by draws from a market that is stated in the output.

mod market;
mod night;
mod tables;

// What the market makes.
use autoresearch::research::trial::{Scores, SeedPayouts};
use rayon::ThreadPoolBuilder;

fn main() {
    // cargo bench adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let nights: usize = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let what = arguments.get(1).map_or("all", String::as_str);
    ThreadPoolBuilder::new().build_global().expect("a pool of threads");
    for (name, table) in tables::ALL {
        if what == "all" || what == *name {
            table(nights);
        }
    }
}
