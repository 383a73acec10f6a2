//! How many of the values are found, and how much else: the figures that are documented are those that are measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::negative::negatives;
use super::{Sample, positives};
use crate::mask::detect::{Detector, Detectors, detect};

/// What is documented, in the module's documentation too.
const MEASURED: &str = include_str!("measured.md");

#[derive(Default)]
struct Score {
    found: usize,
    missed: usize,
    wrong: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.wrong).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.found as f64 / (self.found + self.missed).max(1) as f64
    }
}

fn measured(samples: &[Sample]) -> (BTreeMap<Detector, Score>, Vec<String>) {
    let mut scores: BTreeMap<Detector, Score> = Detector::ALL.map(|detector| (detector, Score::default())).into();
    let mut slips = Vec::new();
    let all = Detectors::all();
    for sample in samples {
        let Sample { name, text, holds } = sample;
        let hits = detect(&all, name, text.as_bytes());
        let mut found = false;
        for hit in &hits {
            let right = holds.as_ref().is_some_and(|(_, range)| *range == hit.range);
            // A value that is two things at once, such as a token in a header, is protected either way.
            let named = holds.as_ref().is_some_and(|(detector, _)| *detector == hit.detector);
            found |= right && (named || hit.detector == Detector::Secret);
            if !(right && (named || hit.detector == Detector::Secret)) {
                scores.get_mut(&hit.detector).unwrap().wrong += 1;
                slips.push(format!("wrong {} {:?} in {name:?} {text:?}", hit.detector.as_str(), hit.range));
            }
        }
        if let Some((detector, range)) = holds {
            let score = scores.get_mut(detector).unwrap();
            if found {
                score.found += 1;
            } else {
                score.missed += 1;
                slips.push(format!("missed {} {range:?} in {name:?} {text:?}: {hits:?}", detector.as_str()));
            }
        }
    }
    (scores, slips)
}

fn table(scores: &BTreeMap<Detector, Score>, negatives: usize) -> String {
    let mut table = format!("Measured on 300 values of each kind and {negatives} that only look like one:\n\n");
    table.push_str("| detector | precision | recall |\n|---|---|---|\n");
    for (detector, score) in scores {
        let _ = writeln!(table, "| {} | {:.3} | {:.3} |", detector.as_str(), score.precision(), score.recall());
    }
    table
}

#[test]
fn the_documented_figures_are_those_measured() {
    let negatives = negatives();
    let count = negatives.len();
    let samples: Vec<Sample> = positives().into_iter().chain(negatives).collect();
    let (scores, slips) = measured(&samples);
    let table = table(&scores, count);
    assert_eq!(table, MEASURED, "corpus/measured.md says something else; slips:\n{}", slips.join("\n"));
    for (detector, score) in &scores {
        let (precision, recall) = floor(*detector);
        let name = detector.as_str();
        assert!(score.precision() >= precision, "{name}: precision {}\n{}", score.precision(), slips.join("\n"));
        assert!(score.recall() >= recall, "{name}: recall {}\n{}", score.recall(), slips.join("\n"));
    }
}

/// Least precision and recall.
fn floor(detector: Detector) -> (f64, f64) {
    match detector {
        // Numbers that nobody named, and that pass by chance.
        Detector::Pan => (0.95, 0.95),
        // They need a word beside them.
        Detector::Phone | Detector::Secret | Detector::UsSsn => (0.98, 0.92),
        Detector::Iban
        | Detector::Email
        | Detector::Jwt
        | Detector::PrivateKey
        | Detector::AwsKey
        | Detector::GithubToken
        | Detector::GcpKey
        | Detector::SlackToken
        | Detector::VendorToken
        | Detector::Ipv4
        | Detector::Ipv6 => (0.99, 0.99),
    }
}
