//! Candidates that wait train beside the one whose turn it is: their races are run ahead on the threads that its next few cells
//! leave free, and what their cells come to is kept until their own turn. Then they are judged as if nothing had been
//! trained before.

use std::time::Instant;

use prepare::evaluate::CellId;

use super::company::{Runner, beside, cells_each, most_together};
use super::race::refused;
use super::session::{Flow, Session};
use super::stock::Stock;
use super::train::{Failure, Time, Training};
use crate::error::Result;
use crate::research::gate::{Race, Step};
use crate::research::trial::{Origin, Verdict};
use crate::spec::{Spec, cost};
use crate::worker::supervisor::WorkerError;
use crate::worker::wire::Job;

/// A candidate that waits, and its race as far as it can be run ahead.
pub(super) struct Companion {
    title: String,
    hash: String,
    spec: Spec,
    runner: Runner,
    race: Race,
}

/// Who takes part in a request, and with which cells.
struct Part {
    /// Its place in the company; None for the one whose turn it is.
    companion: Option<usize>,
    runner: Runner,
    cells: Vec<(usize, u64)>,
    /// Seconds that it may still take.
    left: f64,
}

impl Part {
    /// Seconds of work, estimated.
    fn work(&self) -> f64 {
        self.runner.seconds * (self.runner.nets * self.cells.len()) as f64
    }

    fn job(&self, spec: &Spec) -> Job {
        let cells = self.cells.iter().map(|(fold, seed)| CellId { fold: *fold, seed: *seed }).collect();
        Job { spec: spec.to_yaml(), cells, predictions: None }
    }
}

impl Session<'_> {
    /// What is known of the cells of a spec whose turn it is.
    pub(super) fn stock_of(&mut self, hash: &str) -> Stock {
        let stock = self.stocks.remove(hash).unwrap_or_default();
        // A constraint on exposure may have come into force since.
        if self.measures_exposure() && !stock.has_exposures() { Stock::default() } else { stock }
    }

    /// The candidates that wait and might train beside the one with this hash, as they could be trained now. What is in stock
    /// of any other spec is dropped: a keep has changed what it would have become.
    pub(super) fn company(&mut self, main: &str, origin: Option<&Origin>) -> Result<Vec<Companion>> {
        let mut company: Vec<Companion> = Vec::new();
        // A GPU has no company.
        if self.cpu_threads.is_none() {
            return Ok(company);
        }
        for waiting in self.history.waiting().to_vec() {
            let own =
                |origin: &Origin| (origin.round, &origin.spec_hash) == (waiting.round, &waiting.candidate.spec_hash);
            if origin.is_some_and(own) {
                continue;
            }
            // One that cannot be trained is dropped when its turn comes.
            let Ok(checked) = self.settled(&waiting)? else { continue };
            if checked.hash == main || company.iter().any(|other| other.hash == checked.hash) {
                continue;
            }
            let race = Race::new(self.design(&checked.spec, self.candidate_seeds())?).map_err(refused)?;
            company.push(Companion {
                title: checked.proposal.title,
                hash: checked.hash,
                runner: self.runner(&checked.spec),
                spec: checked.spec,
                race,
            });
        }
        self.stocks.retain(|hash, _| company.iter().any(|one| one.hash == *hash));
        self.apart.retain(|hash| hash == main || company.iter().any(|one| one.hash == *hash));
        Ok(company)
    }

    fn runner(&self, spec: &Spec) -> Runner {
        Runner::new(&cost::estimate(spec, &self.facts), spec.ensemble.members, self.budget.rates.as_ref())
    }

    /// Trains the next cells of a race, and beside them those of whoever of the company there is room for. Whoever takes part
    /// pays for its share, by what its nets are estimated to cost. A request that fails as a whole (a worker that dies, or runs
    /// out of memory or time) while there was company proves nothing about anyone: those that took part train apart from
    /// then on, and the one whose turn it is at once.
    pub(super) async fn train_next(
        &mut self,
        training: &mut Training,
        race: &Race,
        company: &mut [Companion],
    ) -> Result<Flow<std::result::Result<(), Failure>>> {
        let own_hash = training.spec.hash();
        let mut suspects: Vec<String> = Vec::new();
        loop {
            let limit = self.limit_of(race);
            if limit <= training.stock.spent {
                let late = WorkerError::Timeout { seconds: limit };
                return Ok(Flow::On(Err((Verdict::Timeout, late.to_string()))));
            }
            let parts = self.parts(training, race, company);
            let own = parts.iter().position(|part| part.companion.is_none()).unwrap_or_default();
            let titles: Vec<&str> =
                parts.iter().filter_map(|part| Some(company[part.companion?].title.as_str())).collect();
            let mut stage = self.stage(race, training.members(), &parts[own].cells);
            let doing = self.live.live.doing.clone();
            if !titles.is_empty() {
                stage.words = format!("{}, {}", stage.words, in_words(&titles));
                self.live.live.doing = format!("{doing} {}", counted(titles.len()));
                self.live.write();
                let cells: Vec<usize> = parts.iter().map(|part| part.cells.len()).collect();
                let title = self.live.live.title.clone().unwrap_or_default();
                tracing::info!(title, beside = titles.join(", "), ?cells, "training together");
            }
            let jobs = parts.iter().map(|part| match part.companion {
                None => part.job(&training.spec),
                Some(place) => part.job(&company[place].spec),
            });
            // Whoever has least time left ends it for all; then they go on apart, and nothing is held against anyone.
            let time = Time { left: parts.iter().map(|part| part.left).fold(f64::INFINITY, f64::min), limit };
            let begun = Instant::now();
            let trained = self.request(jobs.collect(), own, training.exposure, time, &stage).await?;
            let wall = begun.elapsed().as_secs_f64();
            self.live.live.doing = doing;
            let work: f64 = parts.iter().map(Part::work).sum();
            let share = |part: &Part| if work > 0.0 { part.work() / work } else { 1.0 / parts.len() as f64 };
            training.others += wall * (1.0 - share(&parts[own]));
            match trained {
                Flow::End(reason) => return Ok(Flow::End(reason)),
                Flow::On(Ok(trained)) => {
                    for (part, job) in parts.iter().zip(trained.jobs) {
                        let stock = match part.companion {
                            None => &mut training.stock,
                            Some(place) => self.stocks.entry(company[place].hash.clone()).or_default(),
                        };
                        stock.take_in(job);
                        stock.seconds += trained.seconds * share(part);
                        stock.spent += wall * share(part);
                        stock.wall += wall * share(part);
                    }
                    return Ok(Flow::On(Ok(())));
                }
                Flow::On(Err(failure)) if titles.is_empty() => {
                    // It fails by itself: nothing is known against those that were beside it.
                    self.apart.retain(|hash| !suspects.contains(hash));
                    return Ok(Flow::On(Err(failure)));
                }
                Flow::On(Err((_, why))) => {
                    self.note(format!(
                        "trained {}, it failed: {why}; it is trained again by itself",
                        in_words(&titles)
                    ));
                    for part in &parts {
                        let Some(place) = part.companion else { continue };
                        let hash = &company[place].hash;
                        self.stocks.entry(hash.clone()).or_default().wall += wall * share(part);
                        suspects.push(hash.clone());
                    }
                    self.apart.extend(suspects.iter().cloned().chain([own_hash.clone()]));
                }
            }
        }
    }

    /// Who takes part in the next request, the dearest first, so that none of its nets is begun when the others are done.
    fn parts(&self, training: &Training, race: &Race, company: &mut [Companion]) -> Vec<Part> {
        let machine = self.machine();
        let main = self.runner(&training.spec);
        let hungry: Vec<usize> = if self.wants_company(&training.spec.hash(), &main, race) {
            (0..company.len()).filter(|place| self.is_hungry(&mut company[*place])).collect()
        } else {
            Vec::new()
        };
        let runners: Vec<Runner> = hungry.iter().map(|place| company[*place].runner).collect();
        let chosen = beside(&main, &runners, &machine);
        let together: Vec<Runner> = std::iter::once(main).chain(chosen.iter().map(|place| runners[*place])).collect();
        let counts = cells_each(&together, &machine);
        let of = |race: &Race, stock: Option<&Stock>, count: usize| -> Vec<(usize, u64)> {
            race.ahead().filter(|cell| stock.is_none_or(|stock| stock.lacks(*cell))).take(count).collect()
        };
        let mut parts = vec![Part {
            companion: None,
            runner: main,
            cells: of(race, Some(&training.stock), counts[0]),
            left: self.limit_of(race) - training.stock.spent,
        }];
        for (place, count) in chosen.iter().map(|place| hungry[*place]).zip(&counts[1..]) {
            let Companion { hash, runner, race, .. } = &company[place];
            let stock = self.stocks.get(hash);
            let spent = stock.map_or(0.0, |stock| stock.spent);
            let cells = of(race, stock, *count);
            parts.push(Part { companion: Some(place), runner: *runner, cells, left: self.limit_of(race) - spent });
        }
        parts.sort_by(|one, other| other.runner.seconds.total_cmp(&one.runner.seconds));
        parts
    }

    /// A candidate that has come to its first look and is still in the race is likely to need all cells that it may ask for; and if
    /// it is kept, what was trained beside it would be of specs that have become others.
    fn wants_company(&self, hash: &str, main: &Runner, race: &Race) -> bool {
        let promising = race.looks().first().is_some_and(|look| race.cells().whole_seeds().len() >= *look);
        !promising && !self.apart.contains(hash) && most_together(&self.machine(), main.nets) > 1
    }

    /// Runs a companion's race as far as its cells are known. Whether it wants more of them, and may have them.
    fn is_hungry(&self, companion: &mut Companion) -> bool {
        let Companion { hash, race, .. } = companion;
        let nothing = Stock::default();
        let stock = self.stocks.get(hash).unwrap_or(&nothing);
        let scores = self.history.incumbent().and_then(|record| self.history.scores(record.trial)).unwrap_or_default();
        if self.apart.contains(hash) {
            return false;
        }
        // What the gate says against it (no further seeds of the incumbent yet, for one) is said when its turn comes.
        while let Ok(Step::Train(cells)) = self.step(race, &scores) {
            if cells.iter().any(|cell| stock.lacks(*cell)) {
                return self.limit_of(race) > stock.spent;
            }
            for (fold, seed) in cells {
                let Some(Ok(cell)) = stock.look(fold, seed) else { return false };
                let payout = cell.score.eras.iter().map(|era| era.payout).collect();
                if race.add(fold, seed, payout).is_err() {
                    return false;
                }
            }
        }
        false
    }
}

/// Who trains beside, in a few words.
fn in_words(titles: &[&str]) -> String {
    match titles {
        [one] => format!("beside `{one}`, which waits"),
        several => counted(several.len()),
    }
}

fn counted(count: usize) -> String {
    if count == 1 { "beside 1 candidate that waits".into() } else { format!("beside {count} candidates that wait") }
}
