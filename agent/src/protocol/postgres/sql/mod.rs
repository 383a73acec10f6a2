//! What SQL does, as the server will understand it: its own grammar, its rules for names, and its catalog.
//!
//! [`parse`] gives syntax, the same for every session; [`Script::understand`] says what it means to one. Whatever cannot be
//! told is said to be unknown or undecided, and whoever asks closes the door then.

mod builtin;
mod catalog;
mod depth;
mod facts;
mod names;
mod signs;
mod text;
mod trace;
mod walk;

#[cfg(test)]
mod tests;

pub use builtin::{DANGEROUS, Danger};
pub use catalog::{Catalog, CatalogError, Question, Reading, TEMPORARIES};
pub use facts::{
    Argument, Change, Column, Copied, Deed, Kind, Lineage, Literal, Name, Output, Relation, Store, Transaction,
    Understood, Unknown, Use,
};
pub use names::{Names, Path, Unlisted};
pub use text::{MOST_BYTES, MOST_TOKENS, Quoting, Script, Unreadable, parse, parse_quoted};

use walk::Walker;

impl Script {
    /// What each statement does, in order: what one changes about names holds for the next.
    #[must_use]
    pub fn understand(&self, catalog: &Catalog, names: &Names) -> Vec<Understood> {
        let mut names = names.clone();
        let mut all = Vec::with_capacity(self.statements());
        for statement in &self.tree.stmts {
            let text = self.range(statement);
            let mut walker = Walker::new(catalog, &names);
            walker.body = self.body(&text);
            if let Some(node) = statement.stmt.as_deref() {
                walker.statement(node);
            }
            let understood = walker.finish(self, text);
            names.after(&understood);
            all.push(understood);
        }
        all
    }
}
