//! Numbers by name, with the machine they were measured on, and the statistics that survive a noisy one.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::process::output;

/// What one run of the benchmarks found.
pub(crate) struct Report {
    machine: BTreeMap<&'static str, String>,
    numbers: BTreeMap<String, f64>,
}

impl Report {
    /// An empty report that says where it was made.
    pub(crate) fn of_this_machine() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let cpu =
            cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, m)| m);
        let rustc = output(Command::new("rustc").arg("--version"))?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let machine = BTreeMap::from([
            ("machine.cores", available_parallelism()?.to_string()),
            ("machine.cpu", cpu.trim().to_owned()),
            ("machine.kernel", kernel.trim().to_owned()),
            ("machine.rustc", rustc.trim().to_owned()),
        ]);
        Ok(Self { machine, numbers: BTreeMap::new() })
    }

    /// Records one number and shows it. Keys are `bench.what_unit`, such as `intercept.connect_us`.
    pub(crate) fn number(&mut self, key: &str, value: f64) {
        println!("{key:<44} {value:>12.3}");
        self.numbers.insert(key.to_owned(), value);
    }

    /// The report as one flat JSON object.
    pub(crate) fn json(&self) -> Result<String> {
        let mut flat = Map::new();
        for (key, text) in &self.machine {
            flat.insert((*key).to_owned(), text.as_str().into());
        }
        for (key, number) in &self.numbers {
            flat.insert(key.clone(), Value::from(*number));
        }
        Ok(serde_json::to_string_pretty(&flat)? + "\n")
    }
}

/// The middle of `values`; of two middles, their mean.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*lower, *upper))
}

/// How `subject` compares with `baseline`, when both are noisy: they are measured in turn, `rounds` times, each round
/// gives one ratio, and the middle one counts. What slows the machine for a while slows both halves of a round.
pub(crate) fn median_of_ratios(
    rounds: u32,
    mut subject: impl FnMut() -> Result<f64>,
    mut baseline: impl FnMut() -> Result<f64>,
) -> Result<f64> {
    let mut ratios = Vec::new();
    for round in 0..rounds {
        // Who goes first alternates: neither always finds the caches warm.
        let first = if round % 2 == 0 { Some(subject()?) } else { None };
        let base = baseline()?;
        let ratio = first.map_or_else(&mut subject, Ok)? / base;
        if !ratio.is_finite() {
            bail!("a round measured nothing: the ratio is {ratio}");
        }
        ratios.push(ratio);
    }
    median(ratios).context("no round was asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_what_was_measured() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn one_slow_round_does_not_move_the_ratio() {
        let mut times = [2.0, 2.0, 200.0, 2.0, 2.0].into_iter();
        let ratio = median_of_ratios(5, || Ok(times.next().unwrap()), || Ok(1.0)).unwrap();
        assert!((ratio - 2.0).abs() < f64::EPSILON);
        assert!(median_of_ratios(1, || Ok(1.0), || Ok(0.0)).is_err());
        assert!(median_of_ratios(0, || Ok(1.0), || Ok(1.0)).is_err());
    }
}
