//! Clients under test that come from the registries of their languages: `target/clients`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::needs::{self, Package};
use crate::process::{run, target};

/// Where one language's clients are, and what says that they are complete: the list they were installed from.
struct Shelf {
    name: &'static str,
    wanted: &'static [&'static str],
    why: &'static str,
}

const PYTHON: Shelf = Shelf {
    name: "python",
    wanted: &needs::PYTHON_CLIENTS,
    why: "Python's PostgreSQL clients, in an environment of ours",
};
const NODE: Shelf =
    Shelf { name: "node", wanted: &needs::NODE_CLIENTS, why: "Node's PostgreSQL client, in a directory of ours" };

impl Shelf {
    fn path(&self) -> PathBuf {
        target("clients").join(self.name)
    }

    fn list(&self) -> String {
        self.wanted.join("\n")
    }

    fn is_complete(&self) -> bool {
        fs::read_to_string(self.path().join("installed")).is_ok_and(|list| list == self.list())
    }

    fn complete(&self) -> Result<()> {
        Ok(fs::write(self.path().join("installed"), self.list())?)
    }
}

/// What is not there, or not as wanted.
pub(crate) fn missing() -> Vec<Package> {
    [PYTHON, NODE].iter().filter(|shelf| !shelf.is_complete()).map(|shelf| (shelf.name, shelf.why)).collect()
}

/// Installs it.
pub(crate) fn install() -> Result<()> {
    if !PYTHON.is_complete() {
        // The distribution's interpreter, whatever else is on the path.
        run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(PYTHON.path()))?;
        let mut pip = Command::new(PYTHON.path().join("bin/pip"));
        run(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(PYTHON.wanted))?;
        PYTHON.complete()?;
    }
    if !NODE.is_complete() {
        fs::create_dir_all(NODE.path())?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(NODE.path());
        run(npm.args(NODE.wanted))?;
        NODE.complete()?;
    }
    Ok(())
}
