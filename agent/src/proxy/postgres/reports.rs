//! What the server says besides rows: errors, notices, notifications and settings, as this workload may see them.

use std::sync::Arc;

use super::{fault::Fault, ledger::About, meaning::Meaning, talk::Talk};
use crate::{
    mask::detect::Context,
    policy::question::TableName,
    protocol::postgres::{
        notice::{Report, Severity},
        notify::{Notification, Parameter},
        query::Status,
        session::{Answer, Number},
        sql::Column,
    },
    record::Timestamps,
};

/// Classes of errors whose texts are about the statement, the session or the server, and hold no stored value
/// (`errcodes.txt`): connection, transaction state, cursor and statement names, rollback, syntax and names, resources,
/// intervention; and of class 55, what is in use and what is locked.
const SAFE: [&[u8]; 11] = [b"08", b"25", b"26", b"34", b"40", b"42", b"53", b"54", b"57", b"55006", b"55P03"];
/// What stands for a text that may hold values.
const WITHHELD: &str = "the server's message was withheld: it may hold protected values";
/// Settings the server tells of, and whose values are any text.
const FREE_SETTINGS: [&[u8]; 3] = [b"application_name", b"TimeZone", b"search_path"];
/// Statements that evaluate what others wrote: queries of cursors and views, expressions of indexes and statistics.
const EVALUATE: [&str; 11] = [
    "move",
    "analyze",
    "vacuum",
    "cluster",
    "refresh materialized view",
    "reindex",
    "reindex index",
    "reindex table",
    "reindex schema",
    "reindex system",
    "reindex database",
];

/// What an error's condition says of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// It points at the client's text, and is about what that says.
    Pointed,
    /// A name that is not there: perhaps a value that was made a name.
    Name,
    /// It holds nothing stored, unless code says so.
    Safe,
    /// It may quote values.
    Any,
}

impl Condition {
    fn of(report: &Report<'_>) -> Self {
        let sqlstate = report.sqlstate();
        let is_name = sqlstate.starts_with(b"42") && sqlstate != b"42501";
        match (is_name, report.field(b'P')) {
            // No code can point at the client's text.
            (true, Some(_)) => Self::Pointed,
            (true, None) => Self::Name,
            (false, _) if SAFE.iter().any(|class| sqlstate.starts_with(class)) => Self::Safe,
            (false, _) => Self::Any,
        }
    }
}

/// Whether it was said within something that the server ran for the request: a trigger, or what a foreign key does to the
/// rows of others. Around the client's own values there are the places of COPY and of JSON, nothing else.
fn is_from_within(report: &Report<'_>, copies: bool) -> bool {
    if report.field(b'q').is_some() {
        return true;
    }
    let Some(context) = report.field(b'W') else { return false };
    let around = match context.strip_prefix(b"JSON data, line ") {
        Some(json) => json.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default(),
        None => context,
    };
    !(around.is_empty() || copies && around.starts_with(b"COPY "))
}

/// What is shown of what is said about something hidden.
fn withheld(meaning: &Meaning, condition: Condition) -> Shown {
    match condition {
        // Code gives any condition and any names it likes.
        _ if meaning.facts.opaque => Shown::Condition,
        Condition::Pointed | Condition::Safe => Shown::Whole,
        Condition::Name | Condition::Any => Shown::Names,
    }
}

/// How much of a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Whole,
    /// The condition, and the names of what it is about.
    Names,
    /// The condition.
    Condition,
}

impl Talk<'_> {
    /// Passes an error or a notice.
    pub(super) fn report(
        &mut self,
        answer: &Answer,
        report: &Report<'_>,
        (tag, bytes): (u8, &[u8]),
        client: &mut Vec<u8>,
    ) {
        let shown = self.shown(answer, report);
        let before = client.len();
        if shown != Shown::Whole {
            report.rewrite(tag, client, |code, value| match code {
                b'S' | b'V' | b'C' | b'P' | b'F' | b'L' | b'R' => Some(value.to_vec()),
                b's' | b't' | b'c' | b'd' | b'n' if shown == Shown::Names => Some(value.to_vec()),
                b'M' => Some(WITHHELD.as_bytes().to_vec()),
                _ => None,
            });
        } else if self.classes.detectors().is_empty() || self.setting.observe {
            client.extend_from_slice(bytes);
        } else {
            let classes = Arc::clone(&self.classes);
            report.rewrite(tag, client, |_, value| {
                let found = classes.mask_found(&Context::default(), crate::mask::FieldType::Text, value);
                Some(found.map_or_else(|| value.to_vec(), |masked| masked.text().unwrap_or_default().to_vec()))
            });
        }
        if tag == b'E'
            && let Some(open) = answer.request.and_then(|number| self.ledger.open(number))
        {
            // As the client saw it.
            let seen = client.get(before + 5..).and_then(|body| Report::decode(body).ok());
            let (sqlstate, text) = (report.sqlstate(), seen.map_or(&b""[..], |seen| seen.message()));
            let text = format!("{} {}", String::from_utf8_lossy(sqlstate), String::from_utf8_lossy(text));
            open.error = Some(text.into());
        }
    }

    /// How much of what the server says may be shown.
    fn shown(&mut self, answer: &Answer, report: &Report<'_>) -> Shown {
        let condition = Condition::of(report);
        if condition == Condition::Pointed || !self.is_restricted() {
            return Shown::Whole;
        }
        let Some(number) = answer.request else {
            // Of no request, as far as anybody can tell.
            return if condition == Condition::Safe { Shown::Whole } else { Shown::Condition };
        };
        match self.ledger.about(number) {
            About::Runs(meaning) => self.shown_of(&meaning, (report, condition)),
            About::Binds(meaning) if self.is_about_hidden(&meaning) => withheld(&meaning, condition),
            About::Binds(_) => Shown::Whole,
            // Reading a text, or telling what it gives, evaluates nothing.
            About::Nothing if answer.done => Shown::Whole,
            // The end of a batch: what was put off until then.
            About::Nothing if condition == Condition::Safe && !is_from_within(report, false) => Shown::Whole,
            About::Nothing if !self.ran_hidden() => Shown::Whole,
            About::Nothing => Shown::Condition,
        }
    }

    fn shown_of(&mut self, meaning: &Meaning, (report, condition): (&Report<'_>, Condition)) -> Shown {
        let writes = meaning.facts.writes.as_ref().is_some_and(|writes| !writes.is_empty());
        let evaluates = meaning.verbs.iter().any(|verb| EVALUATE.contains(verb));
        // Outside a block, what was put off is done by whatever ends the batch.
        let ends = !meaning.transactions.is_empty()
            || meaning.verbs.contains(&"set constraints")
            || self.session.status() != Status::Block;
        let left = ends && self.ran_hidden();
        if (writes || evaluates || left) && is_from_within(report, meaning.verbs.contains(&"copy")) {
            // Code gives any condition and any names it likes.
            return Shown::Condition;
        }
        // What is said by the way is about pages and indexes.
        let fails = evaluates && report.severity() == Severity::Error;
        if fails || left || self.is_of_hidden_row(report) || self.is_about_hidden(meaning) {
            return withheld(meaning, condition);
        }
        Shown::Whole
    }

    /// Whether anything that ran in this transaction, and can still do something at its end, is about what is hidden.
    fn ran_hidden(&mut self) -> bool {
        match self.ledger.ran() {
            Some(ran) => ran.iter().any(|meaning| self.is_about_hidden(meaning)),
            None => true,
        }
    }

    /// Whether the server names a table as what it is about whose rows hold something hidden: it tells them whole.
    fn is_of_hidden_row(&self, report: &Report<'_>) -> bool {
        let (Some(schema), Some(table)) = (report.field(b's'), report.field(b't')) else { return false };
        let now = Timestamps::now();
        let known = self.private.as_ref().unwrap_or(&self.known);
        let is_it = |column: &&Column| column.table.as_bytes() == table && column.schema.as_bytes() == schema;
        known.protection.protected().iter().filter(is_it).any(|column| self.hidden(column, now).is_some())
    }

    /// Whether what a request touches is hidden, or cannot be told.
    fn is_about_hidden(&self, meaning: &Meaning) -> bool {
        if meaning.facts.opaque {
            return true;
        }
        let now = Timestamps::now();
        // What is wrong with a row is told with all of it.
        let known = self.private.as_ref().unwrap_or(&self.known);
        let written: Vec<&TableName> = meaning.facts.writes.iter().flatten().collect();
        let is_written = |column: &&Column| {
            written.iter().any(|table| *column.table == *table.table && *column.schema == *table.schema)
        };
        if known.protection.protected().iter().filter(is_written).any(|column| self.hidden(column, now).is_some()) {
            return true;
        }
        let classes = [&meaning.facts.classes_read, &meaning.facts.classes_written];
        if classes.into_iter().flatten().all(|classes| classes.is_empty()) {
            return false;
        }
        let columns = [&meaning.facts.columns_read, &meaning.facts.columns_written].into_iter().flatten().flatten();
        let columns: Vec<Column> = columns
            .map(|name| Column {
                schema: name.schema.as_str().into(),
                table: name.table.as_str().into(),
                column: name.column.as_str().into(),
            })
            .collect();
        columns.iter().any(|column| self.hidden(column, now).is_some())
    }

    /// Passes a notification: what others say is made of anything.
    pub(super) fn notification(
        &mut self,
        notification: &Notification<'_>,
        bytes: &[u8],
        client: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if !notification.payload.is_empty() && self.is_restricted() {
            Notification { payload: b"***", ..*notification }.encode(client);
        } else {
            client.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Whether a setting may have been set by code to something that is hidden.
    pub(super) fn is_smuggled(&mut self, number: Option<Number>, parameter: &Parameter<'_>) -> bool {
        if !FREE_SETTINGS.contains(&parameter.name) {
            return false;
        }
        let meaning = number.and_then(|number| self.ledger.open(number)).map(|open| Arc::clone(&open.meaning));
        meaning.is_some_and(|meaning| meaning.facts.opaque && self.is_restricted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(fields: &[(u8, &str)]) -> Condition {
        with(fields, Condition::of)
    }

    fn with<T>(fields: &[(u8, &str)], ask: impl Fn(&Report<'_>) -> T) -> T {
        let mut body = Vec::new();
        for (code, value) in fields {
            body.push(*code);
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        }
        body.push(0);
        ask(&Report::decode(&body).unwrap())
    }

    #[test]
    fn a_condition_says_whether_its_text_may_quote_values() {
        for (sqlstate, position, expected) in [
            ("42601", Some("8"), Condition::Pointed),
            ("42703", Some("8"), Condition::Pointed),
            ("42P01", None, Condition::Name),
            ("42501", None, Condition::Safe),
            ("40001", None, Condition::Safe),
            ("57014", None, Condition::Safe),
            ("55P03", None, Condition::Safe),
            ("55000", None, Condition::Any),
            ("22P02", Some("8"), Condition::Any),
            ("23505", None, Condition::Any),
            ("P0001", None, Condition::Any),
        ] {
            let mut fields = vec![(b'C', sqlstate)];
            fields.extend(position.map(|position| (b'P', position)));
            assert_eq!(condition(&fields), expected, "{sqlstate}");
        }
    }

    #[test]
    fn what_ran_inside_a_request_is_told_by_the_context() {
        for (context, copies, expected) in [
            (None, false, false),
            (Some("JSON data, line 1: {bad"), false, false),
            (Some("COPY notes, line 1, column n: \"x\""), true, false),
            (Some("JSON data, line 1: {bad\nCOPY notes, line 1, column doc: \"{bad\""), true, false),
            (Some("COPY notes, line 1, column n: \"x\""), false, true),
            (Some("SQL statement \"UPDATE ONLY \"public\".\"members\" SET ...\""), false, true),
            (Some("JSON data, line 1: 871\nPL/pgSQL function f() line 1 at RAISE"), false, true),
            (Some("PL/pgSQL function f() line 1 at RAISE\nCOPY notes, line 1"), true, true),
        ] {
            let fields: Vec<(u8, &str)> = context.map(|context| (b'W', context)).into_iter().collect();
            assert_eq!(with(&fields, |report| is_from_within(report, copies)), expected, "{context:?}");
        }
        assert!(with(&[(b'q', "SELECT 1")], |report| is_from_within(report, false)));
    }
}
