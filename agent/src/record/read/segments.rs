//! The files of a store, opened when they are needed.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Row, params_from_iter};

use super::super::file::{self, SegmentFile};
use super::super::{RecordError, StoreError, schema};

/// Segments kept open: a store may have more of them than a process may have files.
const KEPT_OPEN: usize = 16;
/// Prepared statements kept for each.
const STATEMENTS: usize = 32;

/// A store, open for reading.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// Oldest first.
    files: Vec<SegmentFile>,
    open: RefCell<VecDeque<(usize, Rc<Segment>)>>,
}

/// One segment, open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    conn: Connection,
    path: PathBuf,
    /// Names of the indexes there are: what an older version wrote has fewer.
    indexes: HashSet<String>,
}

impl Store {
    /// Opens the store below `state_dir`.
    ///
    /// # Errors
    /// When there is none, or it may not be read, or was written by a later version.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, StoreError> {
        let directory = file::directory(state_dir);
        let files = file::segments(&directory).map_err(|error| {
            let path = directory.clone();
            if error.kind() == ErrorKind::PermissionDenied {
                StoreError::NotReadable { path }
            } else {
                StoreError::Missing { path }
            }
        })?;
        let store = Self { directory, files, open: RefCell::default() };
        // What cannot be read at all is said now, not in the middle of a list.
        for index in store.newest_first() {
            if store.segment(index)?.is_some() {
                return Ok(store);
            }
        }
        Err(StoreError::Missing { path: store.directory })
    }

    /// The same store with the segments that came since.
    ///
    /// # Errors
    /// As [`Store::open_read_only`].
    pub(super) fn again(&self) -> Result<Self, StoreError> {
        let files =
            file::segments(&self.directory).map_err(|_| StoreError::Missing { path: self.directory.clone() })?;
        Ok(Self { directory: self.directory.clone(), files, open: RefCell::default() })
    }

    /// Where segments are, in reading order of lists.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.files.len()).rev()
    }

    /// Where segments are, from the oldest on.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.files.len()
    }

    /// The numbers of the segments there are.
    #[must_use]
    pub fn segment_numbers(&self) -> Vec<u64> {
        self.files.iter().map(|file| file.number).collect()
    }

    /// The number of a segment.
    pub(super) fn number(&self, index: usize) -> u64 {
        self.files.get(index).map_or(0, |file| file.number)
    }

    /// How far the log went in the last segment that is there before this one, when the one right before it is not:
    /// sessions carried over from beyond that have their first row here.
    pub(super) fn gap_before(&self, index: usize) -> Result<Option<i64>, StoreError> {
        let before = index.checked_sub(1);
        if self.number(index) <= 1 || before.is_some_and(|before| self.number(before) + 1 == self.number(index)) {
            return Ok(None);
        }
        match before.map(|before| self.segment(before)).transpose()?.flatten() {
            Some(segment) => segment.one("SELECT size FROM head", Vec::new(), |row| row.get(0)),
            None => Ok(Some(0)),
        }
    }

    /// A segment, if it is still there and has its tables.
    pub(super) fn segment(&self, index: usize) -> Result<Option<Rc<Segment>>, StoreError> {
        let mut open = self.open.borrow_mut();
        if let Some((_, segment)) = open.iter().find(|(known, _)| *known == index) {
            return Ok(Some(Rc::clone(segment)));
        }
        let Some(file) = self.files.get(index) else { return Ok(None) };
        let Some(segment) = self.opened(file)?.map(Rc::new) else { return Ok(None) };
        if open.len() >= KEPT_OPEN {
            open.pop_front();
        }
        open.push_back((index, Rc::clone(&segment)));
        Ok(Some(segment))
    }

    fn opened(&self, file: &SegmentFile) -> Result<Option<Segment>, StoreError> {
        if let Some(segment) = Segment::open(&file.path)? {
            return Ok(Some(segment));
        }
        // It was finalised since it was listed, or removed for good.
        if file.live { Segment::open(&file::closed(&self.directory, file.number)) } else { Ok(None) }
    }
}

impl Segment {
    fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        match std::fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(StoreError::NotReadable { path: path.to_owned() });
            }
            Err(_) => return Ok(None),
        }
        let conn = match file::connect_read_only(path) {
            Ok(conn) => conn,
            Err(error) => match error.sqlite_error_code() {
                // Renamed away between the look and the opening.
                Some(ErrorCode::CannotOpen) if !path.exists() => return Ok(None),
                Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                    return Err(StoreError::NotReadable { path: path.to_owned() });
                }
                _ => return Err(RecordError::sqlite("open the store", path, error).into()),
            },
        };
        if schema::version(&conn, path, schema::known())? == 0 {
            return Ok(None);
        }
        schema::show_later_columns(&conn).map_err(|error| RecordError::sqlite("read", path, error))?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        let mut segment = Self { conn, path: path.to_owned(), indexes: HashSet::new() };
        let names = "SELECT name FROM sqlite_schema WHERE type = 'index'";
        segment.indexes = segment.rows(names, Vec::new(), |row| row.get(0))?.into_iter().collect();
        Ok(Some(segment))
    }

    /// Whether there is such an index.
    pub(super) fn has_index(&self, name: &str) -> bool {
        self.indexes.contains(name)
    }

    /// All rows of a query.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run = || {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map(params_from_iter(values), read)?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        run().map_err(|error| self.failed(error))
    }

    /// The first row of a query.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(sql, values, read)?.into_iter().next())
    }

    /// Gives each row to `take` as it is found; until that says to stop.
    pub(super) fn each(
        &self,
        sql: &str,
        values: Vec<Value>,
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<(), StoreError> {
        let run = || {
            let mut statement = self.conn.prepare_cached(sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                if !take(row)? {
                    break;
                }
            }
            Ok(())
        };
        run().map_err(|error| self.failed(error))
    }

    /// Runs several queries on one state of the segment.
    pub(super) fn at_once<T>(&self, run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.conn.unchecked_transaction().map_err(|error| self.failed(error))?;
        let found = run()?;
        // Nothing was written; ending it cannot lose anything.
        drop(transaction);
        Ok(found)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        RecordError::sqlite("read", &self.path, error).into()
    }
}
