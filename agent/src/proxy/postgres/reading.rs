//! From the text of a request to its meaning, for the session as it stands.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    catalogs::{self, Known, LONGEST, Unread},
    matter::{self, Values},
    meaning::{Behind, Meaning, Place},
    naming,
    talk::Talk,
    template,
    upstream::Upstream,
};
use crate::protocol::postgres::{
    Framer,
    query::Status,
    session::{Deed as Done, Effect, Found, Portal},
    sql::{self, Deed, Quoting, Use},
};

/// Most texts whose meaning a session remembers by itself.
const MOST_KNOWN: usize = 256;
/// A catalog that could not be read is not tried again before this has passed.
const RETRY: Duration = Duration::from_secs(30);
/// How often names stand for texts that use names.
const NESTED: u8 = 4;

/// Why a meaning is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unready {
    /// The catalog has to be read first.
    Catalog,
    /// The server has to be asked first what names mean and how texts are read.
    Names,
    /// An answer of the server has to come first.
    Answer,
    /// It uses a statement or cursor that nobody was seen to make.
    Missing,
}

impl Talk<'_> {
    /// What a text means.
    pub(super) fn meaning(&mut self, sql: &[u8]) -> Result<Arc<Meaning>, Unready> {
        self.meaning_of(sql, 0)
    }

    /// What a text means that was prepared before, perhaps when texts were read in another way.
    pub(super) fn meaning_of_kept(&mut self, sql: &[u8]) -> Result<Arc<Meaning>, Unready> {
        if self.naming.is_mixed() && !naming::is_plain(sql) { Err(Unready::Missing) } else { self.meaning(sql) }
    }

    /// What a portal gives that is run: what it gave when it was made. With how many changes of the catalog there had been
    /// when that was certain.
    pub(super) fn meaning_of_portal(&mut self, portal: &Portal) -> Result<(Arc<Meaning>, Option<u64>), Unready> {
        let (now, named) = (Some(self.shelf.changes()), self.naming.changes());
        let made = self.portals.get(portal.made_by, &portal.name).ok_or(Unready::Missing)?;
        if made.named.is_some_and(|before| before != named) {
            return Err(Unready::Missing);
        }
        made.unrun = false;
        let (meaning, changes) = (Arc::clone(&made.meaning), made.changes(now));
        // What runs others by name runs what the name stands for by then.
        if made.named.is_some() && !meaning.behind.is_empty() {
            return Ok((self.meaning_of_kept(portal.sql())?, self.changes()));
        }
        Ok((meaning, changes))
    }

    fn meaning_of(&mut self, sql: &[u8], nested: u8) -> Result<Arc<Meaning>, Unready> {
        let meaning = self.plain_meaning(sql)?;
        if meaning.uses.is_empty() {
            return Ok(meaning);
        }
        if nested >= NESTED {
            return Err(Unready::Missing);
        }
        let (mut named, mut behind) = (Vec::new(), Vec::new());
        for (at, name) in &meaning.uses {
            let only_moves = matches!(name, Use::Fetch { only_moves: true, .. });
            let (found, values) = match self.behind(&meaning, *at, name) {
                // It shows nothing; who approves it is told that nobody knows what it runs.
                Err(Unready::Missing) if only_moves => {
                    behind.push(Behind::unseen());
                    continue;
                }
                found => found?,
            };
            let inner = match found {
                Stands::Text(text) => self.meaning_of(&text, nested + 1)?,
                Stands::Portal(portal) => self.meaning_of_portal(&portal)?.0,
            };
            behind.push(Behind::of(&inner, values));
            behind.extend(inner.behind.iter().cloned());
            if !only_moves {
                named.push((*at, inner));
            }
        }
        Ok(Arc::new(meaning.with(&named).running(behind)))
    }

    /// What a name stands for, and the values that were bound to it.
    fn behind(&self, meaning: &Meaning, at: u32, name: &Use) -> Result<(Stands, Values), Unready> {
        match (made_before(meaning, at, name), name) {
            (Made::Text(text), _) => Ok((Stands::Text(text.into()), Values::new())),
            (Made::Gone, _) => Err(Unready::Missing),
            (Made::Untouched, Use::Execute { name, .. }) => match self.session.statement(name.as_bytes()) {
                Found::Known(kept) if self.naming.is_mixed() && !naming::is_plain(&kept.sql) => Err(Unready::Missing),
                Found::Known(statement) => Ok((Stands::Text(statement.sql.clone()), Values::new())),
                Found::Missing => Err(Unready::Missing),
                Found::Unsettled => Err(Unready::Answer),
            },
            (Made::Untouched, Use::Fetch { name, .. } | Use::Current(name)) => {
                match self.session.portal(name.as_bytes()) {
                    Found::Known(portal) => {
                        let values = matter::bound(portal.bind().as_ref());
                        Ok((Stands::Portal(portal), values))
                    }
                    Found::Missing => Err(Unready::Missing),
                    Found::Unsettled => Err(Unready::Answer),
                }
            }
        }
    }

    /// What a text means, apart from what it runs by name.
    fn plain_meaning(&mut self, sql: &[u8]) -> Result<Arc<Meaning>, Unready> {
        // What was passed may change how texts are read, and what names stand for.
        if self.naming.is_unsettled() {
            self.session.urge();
            return Err(Unready::Answer);
        }
        let stale = self.is_stale();
        let certain = self.naming.is_certain();
        if let Some(known) = self.texts.get(sql).filter(|known| !known.touches || !stale && certain) {
            return Ok(Arc::clone(known));
        }
        let quoting = self.naming.quoting();
        if quoting.is_none() && self.naming.has_doubtful_texts() && !naming::is_plain(sql) {
            self.ask_first(Unready::Names)?;
        }
        let shared = self.private.is_none()
            && quoting != Some(Quoting::Backslash)
            && (quoting.is_some() || naming::is_plain(sql))
            && self.naming.plain().is_some_and(|names| self.known.is_for(names));
        if let Some(known) = self.known.meaning(sql).filter(|known| shared && (!known.touches || !stale)) {
            return Ok(self.remembered(sql, known));
        }
        // Texts that only differ in their constants mean the same.
        let cut = if shared { template::cut(sql) } else { None };
        if let Some(cut) = &cut
            && let Some(like) = self.known.meaning(&cut.pattern).filter(|like| !like.touches || !stale)
            && let Ok(text) = std::str::from_utf8(sql)
            && let Some(meaning) = like.of_like(text, &cut.constants, &self.classes)
        {
            return Ok(Arc::new(meaning));
        }
        let meaning = self.read(sql, quoting);
        if meaning.touches && !certain {
            self.ask_first(Unready::Names)?;
        }
        // Whether anything is hidden from whoever changes things has to be known as well.
        let blind = meaning.changes && self.private.as_ref().unwrap_or(&self.known).protection.is_blind();
        if (meaning.touches && stale || blind && self.private.is_none()) && self.may_read() {
            self.ask_first(Unready::Catalog)?;
        }
        let meaning = Arc::new(meaning);
        match cut.filter(|cut| shared && meaning.has_constants(&cut.constants)) {
            // It comes with other constants the next time.
            Some(cut) => {
                self.known.remember(&cut.pattern, &meaning);
                let own = std::str::from_utf8(sql).ok();
                let own = own.and_then(|text| meaning.of_like(text, &cut.constants, &self.classes));
                return Ok(own.map_or(meaning, Arc::new));
            }
            None if shared && sql.len() <= LONGEST => self.known.remember(sql, &meaning),
            None => {}
        }
        Ok(self.remembered(sql, meaning))
    }

    /// Says that the server has to be asked before going on, where that is possible.
    fn ask_first(&mut self, what: Unready) -> Result<(), Unready> {
        if self.session.at_rest() {
            // Nothing is run in a transaction that failed.
            return if self.session.status() == Status::Failed { Ok(()) } else { Err(what) };
        }
        if self.session.idle() {
            return Ok(());
        }
        self.session.urge();
        Err(Unready::Answer)
    }

    fn remembered(&mut self, sql: &[u8], meaning: Arc<Meaning>) -> Arc<Meaning> {
        if sql.len() <= LONGEST {
            if self.texts.len() >= MOST_KNOWN {
                self.texts.clear();
            }
            self.texts.insert(sql.into(), Arc::clone(&meaning));
        }
        meaning
    }

    fn read(&self, sql: &[u8], quoting: Option<Quoting>) -> Meaning {
        let quoting = quoting.or_else(|| naming::is_plain(sql).then_some(Quoting::Standard));
        let (Some(quoting), Ok(text)) = (quoting, std::str::from_utf8(sql)) else {
            return Meaning::unreadable(&self.database, sql, "it is not certain how the server reads it");
        };
        match sql::parse_quoted(text, quoting) {
            Ok(script) => {
                let known = self.private.as_ref().unwrap_or(&self.known);
                let place = Place {
                    database: &self.database,
                    catalog: &known.catalog,
                    protection: &known.protection,
                    names: &self.naming.names(),
                };
                Meaning::of(text, &script, &place)
            }
            Err(why) => Meaning::unreadable(&self.database, sql, &why.to_string()),
        }
    }

    /// Whether the catalog is not what the database holds, as far as anybody saw.
    pub(super) fn is_stale(&mut self) -> bool {
        if let Some(private) = &self.private {
            return self.naming.has_unlisted() || !self.shelf.is_current(private);
        }
        match self.shelf.fresh(&self.classes) {
            Some(fresh) => {
                if !Arc::ptr_eq(&fresh, &self.known) {
                    self.known = fresh;
                    self.settle_names();
                }
                self.naming.has_unlisted()
            }
            None => true,
        }
    }

    /// Names mean something else from now on.
    pub(super) fn settle_names(&mut self) {
        self.texts.clear();
    }

    /// Asks over the session's own connection, which is at rest, what names mean and how texts are read.
    pub(super) async fn ask_names(
        &mut self,
        server: &mut Upstream,
        framer: &mut Framer,
    ) -> Result<Vec<u8>, super::fault::Fault> {
        let (said, beside) = catalogs::names(server, framer).await?;
        self.naming.told(said);
        self.settle_names();
        Ok(beside)
    }

    fn may_read(&self) -> bool {
        self.unread.is_none_or(|at| at.elapsed() > RETRY)
    }

    /// Reads the catalog over the session's own connection, which is at rest.
    pub(super) async fn read_catalog(
        &mut self,
        server: &mut Upstream,
        framer: &mut Framer,
    ) -> Result<Vec<u8>, super::fault::Fault> {
        let (status, changes) = (self.session.status(), self.shelf.changes());
        self.settle_names();
        match catalogs::read(server, framer, status).await {
            Ok(mut read) => {
                let beside = std::mem::take(&mut read.beside);
                let (classes, target) = (Arc::clone(&self.classes), Arc::clone(&self.setting.target));
                // A transaction that sees the database as it was does not see what others changed, and what it runs goes by
                // that.
                if status == Status::Block && read.looks_back && changes != self.block_changes {
                    self.private = Some(Known::nothing(changes, classes, target));
                    self.naming.listed(&[]);
                    return Ok(beside);
                }
                self.naming.listed(&read.temporary);
                read.names = self.naming.plain().map(|(path, user)| (path.clone(), user.cloned()));
                // What a transaction sees of its own changes is nobody else's.
                if status == Status::Block {
                    self.private = Some(Known::of(read, changes, classes, target));
                } else {
                    self.known = self.shelf.keep(read, changes, classes, target);
                }
                self.unread = None;
                Ok(beside)
            }
            Err(Unread::Fault(fault)) => Err(fault),
            Err(error) => {
                tracing::warn!(%error, target = self.setting.target.id(), "the catalog of a database cannot be read");
                self.unread = Some(Instant::now());
                Ok(Vec::new())
            }
        }
    }
}

/// What a name stands for.
enum Stands {
    Text(Box<[u8]>),
    Portal(Arc<Portal>),
}

/// What statements of the same message did to a name before the one that uses it.
enum Made<'m> {
    Text(&'m [u8]),
    Gone,
    Untouched,
}

fn made_before<'m>(meaning: &'m Meaning, at: u32, used: &Use) -> Made<'m> {
    let (wanted, is_cursor) = match used {
        Use::Execute { name, .. } => (name, false),
        Use::Fetch { name, .. } | Use::Current(name) => (name, true),
    };
    let before = meaning.deeds.iter().filter(|(statement, _)| *statement < at);
    before.fold(Made::Untouched, |made, (_, deed)| match deed {
        Deed::Prepare { name, sql, .. } if !is_cursor && name == wanted => text_at(meaning, sql),
        Deed::Declare { name, sql, .. } if is_cursor && name == wanted => text_at(meaning, sql),
        Deed::Deallocate(name) if !is_cursor && name == wanted => Made::Gone,
        Deed::Close(name) if is_cursor && name == wanted => Made::Gone,
        Deed::DeallocateAll if !is_cursor => Made::Gone,
        Deed::CloseAll if is_cursor => Made::Gone,
        Deed::DiscardAll | Deed::Opaque => Made::Gone,
        Deed::Prepare { .. }
        | Deed::Declare { .. }
        | Deed::Deallocate(_)
        | Deed::Close(_)
        | Deed::DeallocateAll
        | Deed::CloseAll => made,
    })
}

fn text_at<'m>(meaning: &'m Meaning, sql: &Range<usize>) -> Made<'m> {
    meaning.text.get(sql.clone()).map_or(Made::Gone, Made::Text)
}

/// What a meaning does to names, in the session's words.
pub(super) fn effects(meaning: &Meaning) -> Vec<Effect<'_>> {
    meaning.deeds.iter().map(|(statement, deed)| Effect { statement: *statement, deed: done(meaning, deed) }).collect()
}

fn done<'a>(meaning: &'a Meaning, deed: &'a Deed) -> Done<'a> {
    let part = |range: &Range<usize>| meaning.text.get(range.clone()).unwrap_or_default();
    match deed {
        Deed::Prepare { name, sql, .. } => Done::Prepare { name: name.as_bytes(), sql: part(sql), types: &[] },
        Deed::Deallocate(name) => Done::Deallocate(name.as_bytes()),
        Deed::DeallocateAll => Done::DeallocateAll,
        Deed::Declare { name, sql, hold } => Done::Declare { name: name.as_bytes(), sql: part(sql), hold: *hold },
        Deed::Close(name) => Done::Close(name.as_bytes()),
        Deed::CloseAll => Done::CloseAll,
        Deed::DiscardAll => Done::DiscardAll,
        Deed::Opaque => Done::Opaque,
    }
}
