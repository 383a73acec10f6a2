//! What a session's names mean by now, and how its texts are read: what the server said when it was asked, and what
//! requests changed since for certain. Where that is not certain, the server is asked again before anything is read by it.

use std::{collections::BTreeSet, sync::Arc};

use crate::protocol::postgres::sql::{Change, Name, Names, Path, Quoting, Transaction, Unlisted};

/// What a server says of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) path: Path,
    pub(super) user: Option<Name>,
    pub(super) quoting: Quoting,
    /// As the server spells it.
    pub(super) encoding: Arc<str>,
}

/// Whether something is what it was taken for.
#[derive(Clone, Copy, Debug, Default)]
struct Sure {
    certain: bool,
    /// It was changed since no transaction was open: where one ends, or anything fails, the change may be taken back.
    volatile: bool,
}

impl Sure {
    fn may_go_back(&mut self) {
        self.certain &= !self.volatile;
    }
}

/// Follows what requests do to names and to how texts are read.
#[derive(Debug, Default)]
pub(super) struct Naming {
    said: Option<Said>,
    /// The path and the role.
    names: Sure,
    /// Quoting and encoding.
    texts: Sure,
    /// Texts were, or may have been, read in more than one way.
    mixed: bool,
    unlisted: Unlisted,
    temporary: BTreeSet<Name>,
    /// Requests that were passed and change this, and are not answered.
    pending: usize,
    /// Counts how often names came to mean something else.
    changes: u64,
}

/// What settings concern names, and how texts are read.
fn concerns(change: &Change) -> (bool, bool) {
    match change {
        Change::Set { name, .. } | Change::Reset { name, .. } => match name.as_str() {
            "search_path" | "role" | "session_authorization" => (true, false),
            "standard_conforming_strings" | "client_encoding" => (false, true),
            _ => (false, false),
        },
        Change::Role { .. } | Change::SessionAuthorization { .. } => (true, false),
        Change::ResetAll | Change::DiscardAll | Change::Opaque => (true, true),
    }
}

fn concern(changes: &[Change]) -> (bool, bool) {
    changes.iter().map(concerns).fold((false, false), |(a, b), (c, d)| (a || c, b || d))
}

/// Whether a text is the same however quotes and encodings are read.
pub(super) fn is_plain(sql: &[u8]) -> bool {
    sql.is_ascii() && !sql.contains(&b'\\')
}

impl Naming {
    /// For whoever reads the next statement.
    pub(super) fn names(&self) -> Names {
        let said = self.said.as_ref().filter(|_| self.is_certain());
        let path = said.map_or(Path::Unknown, |said| said.path.clone());
        Names { path, user: said.and_then(|said| said.user.clone()), unlisted: self.unlisted.clone() }
    }

    /// Whether it is known what names mean.
    pub(super) fn is_certain(&self) -> bool {
        self.names.certain && self.pending == 0
    }

    /// How texts quote; `None` where that is not known, or they are in an encoding that cannot be read.
    pub(super) fn quoting(&self) -> Option<Quoting> {
        let said = self.said.as_ref().filter(|said| &*said.encoding == "UTF8");
        said.filter(|_| self.texts.certain && self.pending == 0).map(|said| said.quoting)
    }

    /// How texts are encoded, as far as that is known.
    pub(super) fn encoding(&self) -> Option<&Arc<str>> {
        self.said.as_ref().filter(|_| self.texts.certain && self.pending == 0).map(|said| &said.encoding)
    }

    /// Whether how texts are read is not known and can be asked for.
    pub(super) fn has_doubtful_texts(&self) -> bool {
        !self.texts.certain
    }

    /// Whether what was prepared under its text may have been read otherwise than it would be now.
    pub(super) fn is_mixed(&self) -> bool {
        self.mixed
    }

    /// A text was passed that nobody could read for certain.
    pub(super) fn misread(&mut self) {
        self.mixed = true;
    }

    /// What the server said, where nothing but that holds: names are plain to whoever was told the same.
    pub(super) fn plain(&self) -> Option<(&Path, Option<&Name>)> {
        let said = self.said.as_ref().filter(|_| self.is_certain() && self.unlisted == Unlisted::default())?;
        Some((&said.path, said.user.as_ref()))
    }

    /// The server said how it is.
    pub(super) fn told(&mut self, said: Said) {
        if let Some(before) = &self.said {
            self.mixed |= (before.quoting, &before.encoding) != (said.quoting, &said.encoding);
            self.changes += u64::from(*before != said);
        }
        self.said = Some(said);
        (self.names.certain, self.texts.certain) = (true, true);
    }

    /// How often names came to mean something else.
    pub(super) fn changes(&self) -> u64 {
        self.changes
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

    /// Whether something was passed that changes any of this, and not answered.
    pub(super) fn is_unsettled(&self) -> bool {
        self.pending > 0
    }

    /// Relations are no longer what the catalog says, from when the request was passed.
    pub(super) fn unlist(&mut self, unlists: &Unlisted) {
        self.unlisted.add(unlists);
    }

    /// A request was passed that does this.
    pub(super) fn passed(&mut self, changes: &[Change], transactions: &[Transaction]) {
        let (names, texts) = concern(changes);
        self.names.volatile |= names;
        self.texts.volatile |= texts;
        self.pending += usize::from(names || texts);
        let keeps =
            |one: &Transaction| matches!(one, Transaction::Begin | Transaction::Savepoint(_) | Transaction::Release(_));
        if !transactions.iter().all(keeps) {
            self.may_go_back();
        }
    }

    /// A request that does this was answered: it worked, or failed.
    pub(super) fn answered(&mut self, changes: &[Change], worked: bool) {
        let (names, texts) = concern(changes);
        self.pending = self.pending.saturating_sub(usize::from(names || texts));
        if !worked {
            self.may_go_back();
            return;
        }
        changes.iter().for_each(|change| self.apply(change));
    }

    /// A request was passed at whose end what was changed may be taken back, or stay.
    pub(super) fn ended(&mut self) {
        self.may_go_back();
    }

    /// No transaction is open.
    pub(super) fn rest(&mut self) {
        self.may_go_back();
        (self.names.volatile, self.texts.volatile) = (false, false);
    }

    /// The server told of a setting by itself, or code may have changed it.
    pub(super) fn doubt(&mut self) {
        (self.names.certain, self.texts.certain) = (false, false);
    }

    fn may_go_back(&mut self) {
        self.names.may_go_back();
        self.texts.may_go_back();
    }

    fn apply(&mut self, change: &Change) {
        let (names, texts) = concerns(change);
        self.texts.certain &= !texts;
        if !names {
            return;
        }
        self.changes += 1;
        match (change, &mut self.said) {
            (Change::Set { name, value: Some(value), .. }, Some(said)) if name == "search_path" => {
                said.path = Path::of(value);
            }
            (Change::Role { name: Some(name), .. }, Some(said)) => said.user = Some(Name::from(name.as_str())),
            _ => self.names.certain = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str) -> Said {
        Said { path: Path::of(path), user: Some("app".into()), quoting: Quoting::Standard, encoding: "UTF8".into() }
    }

    fn set(name: &str, value: &str) -> [Change; 1] {
        [Change::Set { name: name.to_owned(), value: Some(value.to_owned()), local: false }]
    }

    fn done(naming: &mut Naming, changes: &[Change]) {
        naming.passed(changes, &[]);
        naming.answered(changes, true);
    }

    fn path(naming: &Naming) -> Path {
        naming.names().path
    }

    #[test]
    fn a_path_is_what_was_set_while_nothing_can_take_it_back() {
        let mut naming = Naming::default();
        assert_eq!(path(&naming), Path::Unknown);
        naming.told(said("\"$user\", public"));
        assert_eq!(path(&naming), Path::of("\"$user\", public"));
        let change = set("search_path", "a, b");
        naming.passed(&change, &[]);
        assert!(naming.is_unsettled() && path(&naming) == Path::Unknown, "while it is not answered");
        naming.answered(&change, true);
        assert_eq!(path(&naming), Path::of("a, b"));
        naming.passed(&[], &[Transaction::Begin, Transaction::Savepoint("x".to_owned())]);
        assert_eq!(path(&naming), Path::of("a, b"));
        for end in [
            Transaction::Commit { chain: false },
            Transaction::Rollback { chain: true },
            Transaction::RollbackTo("x".to_owned()),
            Transaction::Prepare,
        ] {
            naming.told(said("public"));
            done(&mut naming, &change);
            naming.passed(&[], &[end]);
            assert_eq!(path(&naming), Path::Unknown);
            naming.told(said("public"));
            assert_eq!(path(&naming), Path::of("public"));
        }
    }

    #[test]
    fn what_failed_or_ended_is_asked_for_again() {
        let mut naming = Naming::default();
        naming.told(said("public"));
        naming.answered(&[], false);
        naming.rest();
        assert!(naming.is_certain(), "nothing was changed");
        done(&mut naming, &set("search_path", "a"));
        naming.answered(&[], false);
        assert!(!naming.is_certain(), "another request of its batch failed");
        naming.told(said("a"));
        naming.rest();
        assert!(!naming.is_certain(), "a batch ended");
        naming.told(said("public"));
        naming.rest();
        assert!(naming.is_certain(), "nothing is left to take back");
        for change in [Change::Opaque, Change::ResetAll, Change::DiscardAll, Change::Role { name: None, local: false }]
        {
            naming.told(said("public"));
            done(&mut naming, &[change]);
            assert!(!naming.is_certain());
        }
        naming.told(said("public"));
        done(&mut naming, &set("work_mem", "1MB"));
        assert!(naming.is_certain() && naming.quoting().is_some());
    }

    #[test]
    fn texts_are_read_as_the_server_said_last() {
        let mut naming = Naming::default();
        assert_eq!(naming.quoting(), None);
        naming.told(said("public"));
        assert_eq!(naming.quoting(), Some(Quoting::Standard));
        for name in ["standard_conforming_strings", "client_encoding"] {
            naming.told(said("public"));
            done(&mut naming, &set(name, "x"));
            assert_eq!((naming.quoting(), naming.encoding()), (None, None));
            assert!(naming.is_certain(), "names are");
        }
        assert!(!naming.is_mixed());
        naming.told(Said { quoting: Quoting::Backslash, ..said("public") });
        assert_eq!(naming.quoting(), Some(Quoting::Backslash));
        assert!(naming.is_mixed());
        naming.told(Said { encoding: "GBK".into(), ..said("public") });
        assert_eq!((naming.quoting(), naming.encoding()), (None, Some(&Arc::from("GBK"))));
    }

    #[test]
    fn plain_texts_have_neither_escapes_nor_letters_beyond_ascii() {
        for (text, plain) in [("select 'a'", true), ("select '\\'", false), ("select 'é'", false)] {
            assert_eq!(is_plain(text.as_bytes()), plain, "{text}");
        }
    }
}
