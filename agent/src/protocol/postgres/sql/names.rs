//! What a session makes of a name without a schema.

use std::collections::BTreeSet;

use super::facts::{Change, Name, Transaction, Understood};

/// The session's names, as far as the catalog does not tell.
#[derive(Clone, Debug)]
pub struct Names {
    /// Where names without a schema are looked for.
    pub path: Path,
    /// The current role, for `"$user"`; `None` if it is not known. Of another than the catalog was read as, the path is not
    /// known either: it leaves out schemas that the role may not use.
    pub user: Option<Name>,
    /// Relations the catalog does not describe.
    pub unlisted: Unlisted,
}

/// `search_path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// The schemas it lists, `"$user"` included as it is. `pg_catalog` and `pg_temp` are added as the server does.
    Known(Vec<Name>),
    /// Something may have changed it.
    Unknown,
}

/// Relations made or changed since the catalog was read, temporary ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// Those of these names, in any schema.
    Named(BTreeSet<Name>),
    /// Perhaps any.
    Any,
}

impl Default for Unlisted {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl Unlisted {
    /// Whether a relation of this name may be another than the catalog says.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        match self {
            Self::Named(names) => names.contains(name),
            Self::Any => true,
        }
    }

    /// Adds what a statement unlists.
    pub fn add(&mut self, unlists: &Self) {
        match (&mut *self, unlists) {
            (Self::Named(names), Self::Named(more)) => names.extend(more.iter().cloned()),
            (Self::Named(_), Self::Any) => *self = Self::Any,
            (Self::Any, _) => {}
        }
    }
}

impl Path {
    /// Reads a setting's value: identifiers, quoted or folded, between commas. What is malformed is unknown.
    ///
    /// Source: `SplitIdentifierString` in the server's `varlena.c`.
    #[must_use]
    pub fn of(setting: &str) -> Self {
        let mut names: Vec<Name> = Vec::new();
        let mut rest = setting.trim_start();
        if rest.is_empty() {
            return Self::Known(names);
        }
        loop {
            let Some((name, after)) = identifier(rest) else { return Self::Unknown };
            names.push(name.into());
            let after = after.trim_start();
            if after.is_empty() {
                return Self::Known(names);
            }
            let Some(next) = after.strip_prefix(',') else { return Self::Unknown };
            rest = next.trim_start();
        }
    }
}

/// A name as it is written so that it is read as itself.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An identifier at the start, and what follows it. The server cuts names after 63 bytes; those are unknown here.
fn identifier(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let rest = if let Some(mut rest) = text.strip_prefix('"') {
        loop {
            let (piece, after) = rest.split_once('"')?;
            name.push_str(piece);
            match after.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => break after,
            }
        }
    } else {
        let end = text.find(|c: char| c == ',' || c.is_ascii_whitespace()).unwrap_or(text.len());
        let (word, after) = text.split_at_checked(end)?;
        // Beyond ASCII, folding depends on the server's locale.
        if word.is_empty() || !word.is_ascii() {
            return None;
        }
        name = word.to_ascii_lowercase();
        after
    };
    (!name.is_empty() && name.len() < 64).then_some((name, rest))
}

impl Names {
    /// What names mean after a statement, if it works.
    pub(super) fn after(&mut self, understood: &Understood) {
        self.unlisted.add(&understood.unlists);
        for change in &understood.settings {
            match change {
                Change::Set { name, value, .. } if name == "search_path" => {
                    self.path = value.as_deref().map_or(Path::Unknown, Path::of);
                }
                Change::Reset { name, .. } if name == "search_path" => {
                    self.path = Path::Unknown;
                }
                Change::ResetAll | Change::DiscardAll => {
                    self.path = Path::Unknown;
                    if *change == Change::DiscardAll {
                        self.user = None;
                    }
                }
                Change::Role { .. } | Change::SessionAuthorization { .. } => self.user = None,
                Change::Opaque => {
                    self.path = Path::Unknown;
                    self.user = None;
                }
                Change::Set { .. } | Change::Reset { .. } => {}
            }
        }
        let undoes = understood.transaction.as_ref().is_some_and(|transaction| {
            matches!(
                transaction,
                Transaction::Rollback { .. }
                    | Transaction::RollbackTo(_)
                    | Transaction::Commit { .. }
                    | Transaction::Prepare
            )
        });
        // The end of a transaction may take settings back.
        if undoes {
            self.path = Path::Unknown;
            self.user = None;
        }
    }
}
