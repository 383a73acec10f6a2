//! "Did you mean": the nearest of the known names.

/// The candidate nearest to `word`, when it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer input is no slip of the finger, and the comparison is quadratic.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let folded = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&folded, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowance(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many slips still count as the same word.
fn allowance(candidate: &str) -> usize {
    match candidate.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    }
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (row, char_a) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut last_b = None;
        for (column, &char_b) in b.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&above, column) + usize::from(char_a != char_b))
                .min(at(&above, column + 1) + 1)
                .min(at(&current, column) + 1);
            if column > 0 && last_a == Some(char_b) && last_b == Some(char_a) {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
            last_b = Some(char_b);
        }
        before = std::mem::replace(&mut above, current);
        last_a = Some(char_a);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("enfroce", "enforce", 1),
            ("kitten", "sitting", 3),
            ("moed", "mode", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn near_enough_or_nothing() {
        let keys = ["mode", "fail", "udp", "inbound", "connect_timeout"];
        assert_eq!(nearest("moed", keys), Some("mode"));
        assert_eq!(nearest("Mode", keys), Some("mode"));
        assert_eq!(nearest("connect-timeout", keys), Some("connect_timeout"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"m".repeat(1_000_000), keys), None);
    }
}
