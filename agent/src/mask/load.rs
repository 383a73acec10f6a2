//! Reads the classifications of a policy directory: the one place of this room that touches files.

use std::path::Path;

use super::classes::{Classes, check};
use super::key::Key;
use crate::policy::{Finding, Rejected, Source, load};

/// What a decision table's cases are called; they lie beside the policies as well.
const CASES: &[u8] = b"cases.toml";

/// Every `*.toml` below the directory is a classification, `cases.toml` and hidden files excepted.
fn is_classification(name: &[u8]) -> bool {
    name.ends_with(b".toml") && name != CASES
}

/// Reads and checks a directory. One without classifications gives no classes.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(directory: &Path, key: &Key) -> Result<Classes, Rejected> {
    check(&sources(directory)?, key).map_err(|findings| Rejected { findings, missing: false })
}

/// Reads a directory, or a single file, without judging what is in it.
///
/// # Errors
/// What cannot be read, and why.
pub fn sources(directory: &Path) -> Result<Vec<Source>, Rejected> {
    load::sources_named(is_classification, directory)
}

/// The files as they are now, to see whether anything changed.
///
/// # Errors
/// What cannot be looked at, and why.
pub fn marks(directory: &Path) -> Result<Vec<load::Mark>, Rejected> {
    load::marks_named(is_classification, directory)
}

/// What is wrong with files that were read already.
///
/// # Errors
/// Everything that is wrong with them.
pub fn judge(sources: &[Source]) -> Result<Classes, Vec<Finding>> {
    // Whether a file is right does not depend on the key.
    check(sources, &Key::new([0; 32]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_is_one_set() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new([1; 32]);
        assert_eq!(load(dir.path(), &key).unwrap().iter().count(), 0);
        for name in ["cases.toml", ".classes.toml", "classes.toml~", "a.cedar"] {
            fs::write(dir.path().join(name), "no classification").unwrap();
        }
        fs::create_dir(dir.path().join("more")).unwrap();
        fs::write(dir.path().join("more/crm.toml"), "[class.a]\nmask = \"redact\"\ndetect = \"pan\"\n").unwrap();
        let names = |classes: &Classes| classes.iter().map(|class| class.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&load(dir.path(), &key).unwrap()), ["a"]);
        let before = marks(dir.path()).unwrap();
        fs::write(dir.path().join("more/crm.toml"), "[class.a]\nmask = \"redact\"\n[x]\n").unwrap();
        assert_ne!(before, marks(dir.path()).unwrap());
        let said = load(dir.path(), &key).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("more/crm.toml:3:2: unknown section"), "{said}");
        assert!(load(&dir.path().join("none"), &key).is_err_and(|rejected| rejected.missing));
    }

    #[test]
    fn the_shipped_classes_are_good() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let classes = load(&shipped, &Key::new([1; 32])).unwrap_or_else(|rejected| panic!("{rejected}"));
        assert!(classes.warnings().is_empty(), "{}", classes.warnings()[0]);
        assert!(classes.iter().count() > 5);
    }
}
