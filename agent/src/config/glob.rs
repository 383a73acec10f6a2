//! Name patterns: `*` for any run of characters, `?` for one, everything else for itself.

use std::fmt;

/// A pattern over a whole name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(String);

impl Glob {
    /// Every text is a pattern; what may be a unit's name is checked where units are read.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern names exactly one thing.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether the whole of `name` fits. Takes time in the product of the lengths at worst, never more.
    pub fn matches(&self, name: &str) -> bool {
        let mut pattern = self.0.chars();
        let mut rest = name.chars();
        // Where to take up again when the latest `*` has to swallow one character more.
        let mut retry = None;
        loop {
            let rest_here = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    retry = Some((pattern.clone(), rest_here.clone()));
                    rest = rest_here;
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                _ => {
                    let Some((after_star, mut swallowed)) = retry.take() else { return false };
                    if swallowed.next().is_none() {
                        return false;
                    }
                    retry = Some((after_star.clone(), swallowed.clone()));
                    (pattern, rest) = (after_star, swallowed);
                }
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("nginx.service", "nginx.service", true),
            ("nginx.service", "nginx.servic", false),
            ("nginx.service", "nginxXservice", false),
            ("job-*.service", "job-1.service", true),
            ("job-*.service", "job-.service", true),
            ("job-*.service", "ajob-1.service", false),
            ("job-*.service", "job-1.service.d", false),
            ("job-?.service", "job-1.service", true),
            ("job-?.service", "job-12.service", false),
            ("?", "é", true),
            ("?", "", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
            ("a*a", "a", false),
            ("**", "x", true),
            ("*.service", "a.service.service", true),
            (r"dev-disk\x2did.mount", r"dev-disk\x2did.mount", true),
            ("[ab]", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_stays_quick() {
        let pattern = Glob::new(format!("{}b", "a*".repeat(200)));
        assert!(!pattern.matches(&"a".repeat(5_000)));
    }

    /// The obvious definition, exponential at worst.
    fn obvious(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', pattern_rest)), _) => {
                obvious(pattern_rest, name) || name.split_first().is_some_and(|(_, rest)| obvious(pattern, rest))
            }
            (Some((wanted, pattern_rest)), Some((found, name_rest))) if *wanted == '?' || wanted == found => {
                obvious(pattern_rest, name_rest)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(Glob::new(pattern).matches(&name), obvious(&p, &n));
        }
    }
}
