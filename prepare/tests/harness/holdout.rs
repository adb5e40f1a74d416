//! The holdout is another fold, held against the same eras as the last fold of a protocol that keeps none; and nothing opens
//! it by accident.

use prepare::{Error, Harness, Holdout};

use crate::support::{Lab, Numbers, SMALL};

/// The last third of the eras, held out.
fn held() -> Lab {
    let lab = Lab::new(&SMALL.replace("holdout: {eras: 4}", "holdout: {eras: 13, embargo: 16}"));
    lab.build().expect("the data builds");
    lab
}

fn opened(lab: &Lab) -> Result<Holdout, Error> {
    Holdout::open(&lab.protocol, &lab.path("packed"))
}

#[test]
fn it_trains_and_scores_as_a_fold_of_the_same_eras_does() {
    let lab = held();
    let holdout = opened(&lab).expect("it opens");
    let held = holdout.harness();
    // Three folds of 40 eras and no holdout: the last block is 13 eras long, too.
    let open = Lab::new(&SMALL.replace("holdout: {eras: 4}", "holdout: {eras: 0}").replace("count: 4", "count: 3"));
    let open = open.harness();
    let (own, fold) = (&held.plan().folds[Holdout::FOLD], &open.plan().folds[2]);
    assert_eq!((own.train.len(), own.test.len()), (23, 13));
    let test: Vec<u32> = fold.test.iter().copied().filter(|era| own.test.contains(era)).collect();
    assert_eq!(test, own.test);
    assert!(own.train.iter().all(|train| own.test.iter().all(|test| train.abs_diff(*test) > 16)));

    let (learned, known) = (held.training(Holdout::FOLD), open.training(2));
    for (index, era) in known.eras().iter().enumerate() {
        let at = learned.eras().iter().position(|span| span.era == era.era).expect("it is trained on as well");
        let bits = |labels: &[f32]| labels.iter().map(|label| label.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(learned.targets(at)), bits(known.targets(index)), "era {}", era.era);
    }
    let of = |harness: &Harness, era: u32| {
        let rows = harness.eras().iter().find(|span| span.era == era).expect("a known era").rows.clone();
        let benchmark: Vec<u32> = harness.benchmark()[rows.clone()].iter().map(|value| value.to_bits()).collect();
        (rows.map(|row| harness.features().row(row).to_vec()).collect::<Vec<_>>(), benchmark)
    };
    for era in own.train.iter().chain(&own.test) {
        assert!(of(held, *era) == of(&open, *era), "era {era}");
    }
    assert_eq!(held.rows(), held.benchmark().len());

    let mut numbers = Numbers::new(3);
    let by_era: Vec<Vec<f32>> = fold.test.iter().map(|_| (0..60).map(|_| numbers.next() as f32).collect()).collect();
    let scores = open.score_cell(2, 42, &by_era.concat()).expect("scores");
    let skipped = fold.test.len() - own.test.len();
    let own_scores = held.score_cell(Holdout::FOLD, 42, &by_era[skipped..].concat()).expect("scores");
    assert_eq!(own_scores.eras, scores.eras[skipped..]);
    assert_eq!(own_scores.corr_with_benchmark, scores.corr_with_benchmark[skipped..]);
}

#[test]
fn the_files_of_its_labels_stay_closed_and_cross_validation_opens_none_of_its_files() {
    let lab = held();
    std::fs::remove_file(lab.path("packed/holdout/targets.f32")).expect("removed");
    let holdout = opened(&lab).expect("it opens without its training labels");
    let learned = holdout.harness().training(Holdout::FOLD);
    assert!(learned.eras().iter().all(|span| !holdout.harness().plan().folds[0].test.contains(&span.era)));
    std::fs::remove_dir_all(lab.path("packed/holdout")).expect("removed");
    let harness = Harness::open(&lab.protocol, &lab.path("packed")).expect("it opens without the holdout");
    assert!(harness.eras().iter().all(|span| !harness.plan().holdout.contains(&span.era)));
    harness.verify().expect("and is whole");
    assert!(opened(&lab).is_err());
}

#[test]
fn what_is_damaged_or_not_there_is_not_scored() {
    let lab = held();
    for name in ["features.u8", "score.f32", "benchmark.f32"] {
        let path = lab.path("packed/holdout").join(name);
        let content = std::fs::read(&path).expect("readable");
        let mut flipped = content.clone();
        flipped[content.len() / 2] ^= 1;
        std::fs::write(&path, flipped).expect("writable");
        let error = opened(&lab).err().expect("its content has changed").to_string();
        assert!(error.contains(name) && error.contains("has changed"), "{error}");
        std::fs::write(&path, content).expect("writable");
    }
    assert!(opened(&lab).is_ok());
    let none = Lab::new(&SMALL.replace("holdout: {eras: 4}", "holdout: {eras: 0}"));
    none.build().expect("the data builds");
    let error = opened(&none).err().expect("there is none");
    assert!(error.is_configuration() && error.to_string().contains("holdout.eras"), "{error}");
}
