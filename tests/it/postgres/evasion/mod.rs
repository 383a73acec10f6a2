//! Ways around: corpora of statements that try to do what is forbidden, and to see what is protected.
//!
//! A corpus is a file of cases (`script`), all of them said to one server through one daemon.

mod blocking;
mod masking;
mod script;
mod secrets;
pub(super) mod wire;

use super::{World, target};
use sallyport_tests::Site;
use std::{cell::Cell, fmt::Write as _, fs};

/// The database that is copied for cases.
const PRISTINE: &str = "pristine";

/// A world whose daemon follows policies and a classification, with databases that are copied from one.
struct Field {
    world: World,
    databases: Cell<usize>,
}

impl Field {
    fn new(policy: &str, classes: &str) -> Self {
        let site = Site::new(policy);
        fs::write(site.policies.join("classes.toml"), classes).expect("a file");
        let world = World::made(site, |site| site.config("", &target("")));
        world.server.sql("postgres", &format!("CREATE DATABASE {PRISTINE}"));
        world.server.sql("postgres", "CREATE ROLE others");
        world.server.sql(PRISTINE, include_str!("schema.sql"));
        Self { world, databases: Cell::new(0) }
    }

    /// Two databases like the first, which nobody has seen: the daemon knows nothing of them.
    fn pair(&self) -> [String; 2] {
        let number = self.databases.get();
        self.databases.set(number + 1);
        let pair = ["orders", "twin"].map(|name| format!("{name}_{number}"));
        for name in &pair {
            self.world.server.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {PRISTINE}"));
        }
        pair
    }
}

/// What is wrong, of a whole corpus: one failure does not hide the others.
#[derive(Default)]
struct Findings(String);

impl Findings {
    fn add(&mut self, case: &str, what: impl std::fmt::Display) {
        let _ = writeln!(self.0, "  {case}: {what}");
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{} findings:\n{}", self.0.lines().count(), self.0);
    }
}
