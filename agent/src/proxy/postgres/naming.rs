//! What the session's names mean by now: its search path and role, through transactions, as far as it is certain.

use std::collections::BTreeSet;

use crate::protocol::postgres::{
    query::Status,
    sql::{Change, Name, Names, Path, Unlisted},
};

/// What a transaction can take back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    path: Path,
    user: Option<Name>,
}

/// Follows what requests do to names.
#[derive(Debug)]
pub(super) struct Naming {
    /// As the session began.
    first: State,
    /// Before the transaction that is open.
    before: State,
    now: State,
    /// `SET LOCAL`: until the transaction ends.
    local: Option<State>,
    unlisted: Unlisted,
    temporary: BTreeSet<Name>,
    /// Requests that were passed and change this, and are not answered.
    pending: usize,
    /// Whether what is pending can be taken back by more than its transaction.
    muddled: bool,
}

impl Naming {
    /// A session that begins with this path, as this user.
    pub(super) fn new(path: Option<&str>, user: &str) -> Self {
        let path = path.map_or(Path::Unknown, Path::of);
        let first = State { path, user: Some(user.into()) };
        let (before, now) = (first.clone(), first.clone());
        Self {
            first,
            before,
            now,
            local: None,
            unlisted: Unlisted::default(),
            temporary: BTreeSet::new(),
            pending: 0,
            muddled: false,
        }
    }

    /// For whoever reads the next statement.
    pub(super) fn names(&self) -> Names {
        let State { path, user } = self.local.as_ref().unwrap_or(&self.now).clone();
        let path = if self.pending > 0 { Path::Unknown } else { path };
        Names { path, user: if self.pending > 0 { None } else { user }, unlisted: self.unlisted.clone() }
    }

    /// Whether anything but the beginning's names may hold.
    pub(super) fn is_plain(&self) -> bool {
        self.pending == 0 && self.local.is_none() && self.now == self.first && self.unlisted == Unlisted::default()
    }

    /// The catalog was read again: everything is listed but the session's own temporary relations.
    pub(super) fn listed(&mut self, temporary: &[String]) {
        self.temporary = temporary.iter().map(|name| Name::from(name.as_str())).collect();
        self.unlisted = Unlisted::Named(self.temporary.clone());
    }

    /// Whether reading the catalog again would list more.
    pub(super) fn has_unlisted(&self) -> bool {
        !matches!(&self.unlisted, Unlisted::Named(names) if names.is_subset(&self.temporary))
    }

    /// The path a session of this role begins with.
    pub(super) fn begin(&mut self, path: Option<&str>) {
        let begun = path.map_or(Path::Unknown, Path::of);
        for state in [&mut self.before, &mut self.now].into_iter().chain(&mut self.local) {
            if state.path == self.first.path {
                state.path = begun.clone();
            }
        }
        self.first.path = begun;
    }

    /// Whether something was passed that changes names, and not answered.
    pub(super) fn is_unsettled(&self) -> bool {
        self.pending > 0
    }

    /// Relations are no longer what the catalog says, from when the request was passed.
    pub(super) fn unlist(&mut self, unlists: &Unlisted) {
        self.unlisted.add(unlists);
    }

    /// A request that changes names was passed.
    pub(super) fn passed(&mut self) {
        self.pending += 1;
    }

    /// It was answered: `Some` with what it did, or `None` if it failed, and how many statements it had.
    pub(super) fn answered(&mut self, changes: Option<&[Change]>, alone: bool) {
        self.pending = self.pending.saturating_sub(1);
        match changes {
            Some(changes) => changes.iter().for_each(|change| self.apply(change)),
            // What of it was done before it failed cannot be told.
            None if !alone => self.muddle(),
            None => {}
        }
    }

    /// Where the transaction stands, as the server tells; `taken_back` if the last one was.
    pub(super) fn ready(&mut self, status: Status, taken_back: bool) {
        if status != Status::Idle {
            return;
        }
        self.local = None;
        if taken_back {
            self.now = self.before.clone();
        }
        if self.muddled {
            self.now = State { path: Path::Unknown, user: None };
            self.muddled = false;
        }
        self.before = self.now.clone();
    }

    /// A savepoint was gone back to, or several transactions were in one batch.
    pub(super) fn muddle(&mut self) {
        if self.now != self.before || self.local.is_some() {
            self.muddled = true;
            self.now = State { path: Path::Unknown, user: None };
            self.local = None;
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Set { name, value, local } if name == "search_path" => {
                let path = value.as_deref().map_or(Path::Unknown, Path::of);
                self.set(*local, |state| state.path = path);
            }
            Change::Reset { name, local } if name == "search_path" => {
                let path = self.first.path.clone();
                self.set(*local, |state| state.path = path);
            }
            Change::Set { name, .. } | Change::Reset { name, .. }
                if name == "role" || name == "session_authorization" =>
            {
                self.set(false, |state| state.user = None);
            }
            Change::Set { .. } | Change::Reset { .. } => {}
            Change::ResetAll => {
                let path = self.first.path.clone();
                self.set(false, |state| state.path = path);
            }
            Change::DiscardAll => {
                let first = self.first.clone();
                self.set(false, |state| *state = first);
            }
            Change::Role { name, local } | Change::SessionAuthorization { name, local } => {
                let user = name.as_deref().map(Name::from).or_else(|| self.first.user.clone());
                self.set(*local, |state| state.user = user);
            }
            Change::Opaque => {
                self.set(false, |state| *state = State { path: Path::Unknown, user: None });
            }
        }
    }

    fn set(&mut self, local: bool, change: impl FnOnce(&mut State)) {
        if local {
            change(self.local.get_or_insert_with(|| self.now.clone()));
            return;
        }
        match &mut self.local {
            // What is set for the session holds after what was set for the transaction, and now.
            Some(local) => {
                change(local);
                self.now = local.clone();
                self.muddled = true;
            }
            None => change(&mut self.now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: &str, local: bool) -> Change {
        Change::Set { name: "search_path".to_owned(), value: Some(value.to_owned()), local }
    }

    fn path(naming: &Naming) -> Path {
        naming.names().path
    }

    fn known(names: &[&str]) -> Path {
        Path::Known(names.iter().map(|name| Name::from(*name)).collect())
    }

    fn done(naming: &mut Naming, change: Change) {
        naming.passed();
        assert_eq!(path(naming), Path::Unknown, "while it is not answered");
        naming.answered(Some(&[change]), true);
    }

    #[test]
    fn a_path_is_what_was_set_last_and_stayed() {
        let mut naming = Naming::new(Some("\"$user\", public"), "app");
        assert!(naming.is_plain());
        assert_eq!(path(&naming), known(&["$user", "public"]));
        done(&mut naming, set("a, b", false));
        assert_eq!(path(&naming), known(&["a", "b"]));
        naming.ready(Status::Idle, false);
        // Within a transaction that is taken back.
        naming.ready(Status::Block, false);
        done(&mut naming, set("c", false));
        assert_eq!(path(&naming), known(&["c"]));
        naming.ready(Status::Idle, true);
        assert_eq!(path(&naming), known(&["a", "b"]));
        // For one transaction only.
        naming.ready(Status::Block, false);
        done(&mut naming, set("d", true));
        assert_eq!(path(&naming), known(&["d"]));
        naming.ready(Status::Idle, false);
        assert_eq!(path(&naming), known(&["a", "b"]));
        done(&mut naming, Change::Reset { name: "search_path".to_owned(), local: false });
        assert_eq!(path(&naming), known(&["$user", "public"]));
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        let mut naming = Naming::new(Some("public"), "app");
        naming.passed();
        naming.answered(None, true);
        assert_eq!(path(&naming), known(&["public"]));
        done(&mut naming, set("a", false));
        naming.muddle();
        assert_eq!(path(&naming), Path::Unknown);
        naming.ready(Status::Idle, false);
        assert_eq!(path(&naming), Path::Unknown);
        done(&mut naming, set("b", false));
        assert_eq!(path(&naming), known(&["b"]));
        done(&mut naming, Change::Opaque);
        assert_eq!((path(&naming), naming.names().user), (Path::Unknown, None));
        assert_eq!(path(&Naming::new(None, "app")), Path::Unknown);
    }
}
