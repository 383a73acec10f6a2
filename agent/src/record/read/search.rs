//! Statements by the words in them.

use rusqlite::types::Value;

use super::super::{Decision, StoreError};
use super::events::DISORDER;
use super::filter::{Filter, Sql};
use super::found::{StatementRow, statement_row};
use super::list::{Page, hex, json_list};
use super::segments::{Segment, Store};
use super::statements::{STATEMENT_COLUMNS, STATEMENT_TABLES, STATEMENT_WORDS};

/// So many of the newest statements are looked at before an index is asked, when every text has to be asked for the words.
const FIRST: u32 = 500;
/// So many when it is known which texts have them.
const FIRST_KNOWN: u32 = 10_000;
/// Up to so many texts with the words are remembered; with more, texts are asked one by one.
const MANY_TEXTS: i64 = 50_000;
/// Up to so many rows of another index are looked at.
const MANY_ROWS: i64 = 200_000;

/// Whether the words are in the text of the statement `r`, asked of that text alone.
const ASKED: &str = "EXISTS (SELECT 1 FROM words_search WHERE words_search MATCH ? AND rowid = r.statement)";
/// The same, of all texts at once; the plus keeps SQLite from starting there.
const KNOWN: &str = "+r.statement IN (SELECT rowid FROM words_search WHERE words_search MATCH ?)";
/// The numbers of all statements with the words.
const NAMED: &str = "r.seq IN (SELECT q.seq FROM (SELECT rowid AS word FROM words_search WHERE words_search MATCH ?) w
    CROSS JOIN request q WHERE q.statement = w.word)";

/// What is looked for, in the syntax of SQLite's FTS5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Plain words, all of which must be there, in any order. What stands between double quotes must be there as it is.
    /// The last letters of a word may be left out with `*`. `None` when there is not a single letter or digit.
    #[must_use]
    pub fn plain(text: &str) -> Option<Self> {
        let mut phrases = Vec::new();
        for (at, piece) in text.split('"').enumerate() {
            let between_quotes = at % 2 == 1;
            let parts: Vec<&str> = if between_quotes { vec![piece] } else { piece.split_whitespace().collect() };
            phrases.extend(parts.into_iter().filter(|part| part.chars().any(char::is_alphanumeric)).map(|part| {
                let (part, star) = match part.strip_suffix('*') {
                    Some(stem) if !between_quotes => (stem, " *"),
                    _ => (part, ""),
                };
                format!("\"{part}\"{star}")
            }));
        }
        (!phrases.is_empty()).then(|| Self(phrases.join(" AND ")))
    }

    /// A query in FTS5's own syntax.
    #[must_use]
    pub fn raw(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn value(&self) -> Value {
        self.0.clone().into()
    }
}

/// A place in the list of statements: before this number.
type Below = i64;

struct Query<'a> {
    words: &'a Words,
    filter: &'a Filter,
    /// Ids of the approvals that stand as asked for, a JSON array of hexadecimal texts.
    approved: Option<String>,
    wanted: usize,
}

impl Store {
    /// The statements with these words that fit, newest first, at most `limit` older than the one of number `after`.
    ///
    /// # Errors
    /// When the words are not a query, or the store cannot be read.
    pub fn search(
        &self,
        words: &Words,
        filter: &Filter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Page<StatementRow>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let ids = |state| -> Result<String, StoreError> {
            Ok(json_list(self.standing_approvals(state)?.iter().map(|one| hex(&one.id))))
        };
        let approved = filter.approval.map(ids).transpose()?;
        let query = Query { words, filter, approved, wanted: limit.saturating_add(1) };
        let mut rows = Vec::new();
        let mut checked = false;
        for index in self.newest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            if !checked {
                segment.check(words)?;
                checked = true;
            }
            let had = rows.len();
            query.fill(&segment, after.unwrap_or(i64::MAX), &mut rows)?;
            for (row, boot_ns) in rows.iter_mut().skip(had).filter(|(row, _)| row.status.is_none()) {
                let parts = self.find(&row.session_id.to_string())?;
                let later = parts.partition_point(|part| part.index <= index);
                self.add_late_response(parts.get(later..).unwrap_or_default(), row, *boot_ns)?;
            }
            if rows.len() >= query.wanted {
                break;
            }
        }
        Ok(Page::of(rows.into_iter().map(|(row, _)| row).collect(), limit))
    }

    /// A piece of a statement with the words found in it between `marks`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn snippet(&self, words: &Words, row: &StatementRow, marks: [char; 2]) -> Result<Option<String>, StoreError> {
        for index in self.newest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            let sql = "SELECT statement FROM request WHERE seq = ?";
            let Some(statement) = segment.one(sql, vec![row.seq.into()], |row| row.get::<_, i64>(0))? else { continue };
            let [open, close] = marks.map(|mark| Value::from(mark.to_string()));
            let sql = "SELECT snippet(words_search, 0, ?, ?, '…', 24) FROM words_search
                WHERE words_search MATCH ? AND rowid = ?";
            return segment.one(sql, vec![open, close, words.value(), statement.into()], |row| row.get(0));
        }
        Ok(None)
    }
}

impl Segment {
    /// Whether the words are a query at all.
    fn check(&self, words: &Words) -> Result<(), StoreError> {
        let sql = "SELECT 1 FROM words_search WHERE words_search MATCH ? AND rowid = -1";
        match self.rows(sql, vec![words.value()], |_| Ok(())) {
            Err(StoreError::Segment(error)) => match error.sqlite_message() {
                Some(message) => Err(StoreError::NotAQuery { message }),
                None => Err(StoreError::Segment(error)),
            },
            other => other.map(drop),
        }
    }
}

fn between(low: i64, high: i64) -> Sql {
    Sql::new("r.seq < ? AND r.seq >= ?", [high.into(), low.into()])
}

impl Query<'_> {
    fn fill(&self, segment: &Segment, after: Below, rows: &mut Vec<(StatementRow, i64)>) -> Result<(), StoreError> {
        let (low, high) = self.range(segment, after)?;
        let texts = "SELECT count(*) FROM (SELECT 1 FROM words_search WHERE words_search MATCH ? LIMIT ?)";
        let texts = segment.one(texts, vec![self.words.value(), MANY_TEXTS.into()], |row| row.get::<_, i64>(0))?;
        if texts == Some(0) {
            return Ok(());
        }
        let known = texts.is_some_and(|texts| texts < MANY_TEXTS);
        let (is_there, first) = if known { (KNOWN, FIRST_KNOWN) } else { (ASKED, FIRST) };
        let Some(floor) = self.look(segment, (low, high), (first, is_there), rows)? else { return Ok(()) };
        if let Some(driver) = self.driver(segment)? {
            let mut rest = between(low, floor);
            rest.and(&format!("r.seq IN ({})", driver.text), driver.values);
            rest.and(is_there, [self.words.value()]);
            return self.fetch(segment, rest, rows);
        }
        let window = 10 * first;
        let Some(floor) = self.look(segment, (low, floor), (window, is_there), rows)? else { return Ok(()) };
        let mut rest = between(low, floor);
        rest.and(NAMED, [self.words.value()]);
        self.fetch(segment, rest, rows)
    }

    /// Looks at the newest statements between two numbers. Where it stopped, when there is more to look at.
    fn look(
        &self,
        segment: &Segment,
        (low, high): (i64, i64),
        (window, is_there): (u32, &str),
        rows: &mut Vec<(StatementRow, i64)>,
    ) -> Result<Option<i64>, StoreError> {
        let floor = segment.one(
            "SELECT min(seq), count(*) FROM
            (SELECT seq FROM request WHERE seq < ? AND seq >= ? ORDER BY seq DESC LIMIT ?)",
            vec![high.into(), low.into(), window.into()],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, u32>(1)?)),
        )?;
        let Some((Some(floor), count)) = floor else { return Ok(None) };
        let mut conditions = between(floor, high);
        conditions.and(is_there, [self.words.value()]);
        self.fetch(segment, conditions, rows)?;
        Ok((count == window && rows.len() < self.wanted).then_some(floor))
    }

    /// An index that names few statements.
    fn driver(&self, segment: &Segment) -> Result<Option<Sql>, StoreError> {
        let mut drivers = Vec::new();
        if let Some(approved) = self.approved.clone().filter(|_| segment.has_index("request_approval")) {
            let sql = "SELECT seq FROM request WHERE approval IS NOT NULL
                AND approval IN (SELECT unhex(value) FROM json_each(?))";
            drivers.push(Sql::new(sql, [approved.into()]));
        }
        if let Some(decision) = self.filter.decision.filter(|decision| *decision != Decision::Allow)
            && segment.has_index("request_decision")
        {
            let sql = "SELECT seq FROM request WHERE decision <> 0 AND decision = ?";
            drivers.push(Sql::new(sql, [decision.code().into()]));
        }
        for sessions in segment.beginning_drivers(self.filter) {
            let sql = "SELECT r.seq FROM (SELECT seq FROM (";
            let rest = ")) q CROSS JOIN request r WHERE r.session = q.seq";
            drivers.push(Sql::new(format!("{sql}{}{rest}", sessions.text), sessions.values));
        }
        segment.rarest(drivers, MANY_ROWS)
    }

    fn fetch(
        &self,
        segment: &Segment,
        mut conditions: Sql,
        rows: &mut Vec<(StatementRow, i64)>,
    ) -> Result<(), StoreError> {
        self.conditions(&mut conditions);
        let missing = i64::try_from(self.wanted - rows.len()).unwrap_or(i64::MAX);
        conditions.values.push(missing.into());
        let sql = format!(
            "SELECT {STATEMENT_COLUMNS} FROM request r {STATEMENT_TABLES} {STATEMENT_WORDS}
            WHERE {} ORDER BY r.seq DESC LIMIT ?",
            conditions.text
        );
        let read = |row: &rusqlite::Row<'_>| Ok((statement_row(row)?, row.get("boot_ns")?));
        rows.extend(segment.rows(&sql, conditions.values, read)?);
        Ok(())
    }

    fn conditions(&self, sql: &mut Sql) {
        let filter = self.filter;
        let beginning = filter.beginning();
        if !beginning.text.is_empty() {
            sql.and(&beginning.text, beginning.values);
        }
        sql.by("r.time_ns >= ?", filter.since_ns);
        sql.by("r.time_ns < ?", filter.until_ns);
        sql.by("r.decision = ?", filter.decision.map(|decision| i64::from(decision.code())));
        if filter.masked {
            sql.and("coalesce(r.masked, a.masked) IS NOT NULL", []);
        }
        if let Some(approved) = &self.approved {
            sql.and("r.approval IN (SELECT unhex(value) FROM json_each(?))", [approved.clone().into()]);
        }
        if let Some(standing) = filter.standing() {
            let stands = "coalesce((SELECT e.outcome FROM session_end e WHERE e.session = s.seq), 'open') = ?";
            sql.and(stands, [standing.to_owned().into()]);
        }
    }

    /// The numbers between which statements of the time asked for lie.
    fn range(&self, segment: &Segment, after: Below) -> Result<(i64, i64), StoreError> {
        let Filter { since_ns, until_ns, .. } = *self.filter;
        if since_ns.is_none() && until_ns.is_none() || !segment.has_steady_clock()? {
            return Ok((0, after));
        }
        let at = |time: i64| segment.first_at("request", "time_ns", time);
        let low = since_ns.map_or(Ok(0), |since| at(since.saturating_sub(DISORDER)))?;
        let high = until_ns.map_or(Ok(i64::MAX), |until| at(until.saturating_add(DISORDER)))?;
        Ok((low, high.min(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_never_syntax() {
        let plain = |text: &str| Words::plain(text).map(|words| words.0);
        assert_eq!(plain("select orders").as_deref(), Some(r#""select" AND "orders""#));
        assert_eq!(plain(r#"from "public orders" OR"#).as_deref(), Some(r#""from" AND "public orders" AND "OR""#));
        assert_eq!(plain("cust* (x").as_deref(), Some(r#""cust" * AND "(x""#));
        assert_eq!(plain(r#""a*" ^ - "#).as_deref(), Some(r#""a*""#));
        assert_eq!(plain("col:x NEAR(a b)").as_deref(), Some(r#""col:x" AND "NEAR(a" AND "b)""#));
        assert_eq!(plain(" -- * "), None);
        assert_eq!(plain("\0").as_deref(), None);
    }
}
