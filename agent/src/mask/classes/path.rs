//! Paths into JSON documents, as patterns: `$.users[*].email`, `$..ssn`.

use crate::config::Glob;

/// Most steps of a pattern.
const MOST_STEPS: usize = 32;

/// One step on the way to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into an object.
    Key(&'a str),
    /// Into an array.
    Index(usize),
}

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathPattern {
    steps: Vec<Wanted>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// Any number of steps.
    Deep,
    Key(Glob),
    Index(usize),
    AnyIndex,
}

impl PathPattern {
    /// Reads a pattern; what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut rest = text.strip_prefix('$').ok_or("a path begins with `$`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() >= MOST_STEPS {
                return Err("it has more than 32 steps");
            }
            if let Some(inside) = rest.strip_prefix('[') {
                let (index, behind) = inside.split_once(']').ok_or("a `[` is not closed")?;
                let quoted = index.strip_prefix('\'').and_then(|index| index.strip_suffix('\''));
                steps.push(match (index, quoted) {
                    ("*", _) => Wanted::AnyIndex,
                    (_, Some(key)) => Wanted::Key(Glob::new(key.to_lowercase())),
                    (index, None) => Wanted::Index(index.parse().map_err(|_| "an index is `*`, a number or 'NAME'")?),
                });
                rest = behind;
                continue;
            }
            let mut name = rest.strip_prefix('.').ok_or("a step begins with `.` or `[`")?;
            if let Some(deep) = name.strip_prefix('.') {
                steps.push(Wanted::Deep);
                name = deep;
            }
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (key, behind) = name.split_at(end);
            if key.is_empty() {
                return Err("a step has no name");
            }
            steps.push(Wanted::Key(Glob::new(key.to_lowercase())));
            rest = behind;
        }
        if steps.is_empty() {
            Err("it names the whole document: write `$..*` for every field")
        } else {
            Ok(Self { steps })
        }
    }

    /// Whether it is the path of a field, or of something that holds it: what is inside a protected field is protected.
    pub(super) fn covers(&self, path: &[Step<'_>]) -> bool {
        let mut wanted = self.steps.iter();
        let mut rest = path.iter();
        // Where to take up again when the latest `..` has to take one step more.
        let mut retry = None;
        loop {
            let here = rest.clone();
            match wanted.next() {
                None => return true,
                Some(Wanted::Deep) => {
                    retry = Some((wanted.clone(), here));
                    continue;
                }
                Some(step) if rest.next().is_some_and(|found| step.matches(found)) => continue,
                Some(_) => {}
            }
            let Some((after, mut taken)) = retry.take() else { return false };
            if taken.next().is_none() {
                return false;
            }
            retry = Some((after.clone(), taken.clone()));
            (wanted, rest) = (after, taken);
        }
    }
}

impl Wanted {
    fn matches(&self, found: &Step<'_>) -> bool {
        match (self, found) {
            (Self::Key(wanted), Step::Key(found)) => wanted.matches(&found.to_lowercase()),
            (Self::AnyIndex, Step::Index(_)) => true,
            (Self::Index(wanted), Step::Index(found)) => wanted == found,
            (Self::Deep | Self::Key(_) | Self::AnyIndex | Self::Index(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_paths() {
        use Step::{Index, Key};
        let email = [Key("users"), Index(3), Key("Email")];
        for (pattern, path, expected) in [
            ("$.users[*].email", &email[..], true),
            ("$.users[3].email", &email, true),
            ("$.users[2].email", &email, false),
            ("$..email", &email, true),
            ("$..e*l", &email, true),
            ("$.users", &email, true),
            ("$.users[*].email.domain", &email, false),
            ("$.email", &email, false),
            ("$['users'][*]['email']", &email, true),
            ("$..a..b", &[Key("x"), Key("a"), Key("a"), Key("y"), Key("b")], true),
            ("$..a.b", &[Key("a"), Key("x"), Key("a"), Key("b")], true),
            ("$..a.b", &[Key("a"), Key("x"), Key("b")], false),
            ("$.a", &[], false),
        ] {
            let pattern = PathPattern::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert_eq!(pattern.covers(path), expected, "{pattern:?} {path:?}");
        }
        for wrong in ["", "users", "$", "$.", "$...a", "$.a[", "$.a[x]", "$a", &format!("${}", ".a".repeat(33))] {
            assert!(PathPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
