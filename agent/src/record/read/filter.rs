//! What is asked for, and how that is said in SQL.

use rusqlite::types::Value;

use super::super::{ApprovalState, Decision, Outcome};

/// Which sessions, statements or events are wanted; what is `None` or false does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Begun at or after, nanoseconds since 1970.
    pub since_ns: Option<i64>,
    /// Begun before, nanoseconds since 1970.
    pub until_ns: Option<i64>,
    /// Part of the workload's SPIFFE ID.
    pub workload: Option<String>,
    /// System or user unit.
    pub unit: Option<String>,
    /// Name of the login, of the user, or a uid of either.
    pub user: Option<String>,
    /// Part of the name of the person acted for.
    pub person: Option<String>,
    /// Part of `ADDRESS:PORT`, or of a configured target's name.
    pub target: Option<String>,
    /// What was decided: of the connection, or of a statement in it.
    pub decision: Option<Decision>,
    /// Something was masked in what came back.
    pub masked: bool,
    /// An approval in it stands like this.
    pub approval: Option<ApprovalState>,
    /// How it ended. Events have no end.
    pub outcome: Option<Outcome>,
    /// It has not ended.
    pub open: bool,
    /// At most so many, the newest; of no matter to what gives pages.
    pub limit: Option<u32>,
}

/// A piece of SQL with the values of its parameters, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { text: text.into(), values: values.into_iter().collect() }
    }

    /// Adds a condition.
    pub(super) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(if self.text.is_empty() { "(" } else { " AND (" });
        self.text.push_str(condition);
        self.text.push(')');
        self.values.extend(values);
    }

    /// Adds a condition for a value that may be there.
    pub(super) fn by<T: Into<Value>>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.and(condition, [value.into()]);
        }
    }

    /// Appends text and values as they are.
    pub(super) fn push(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
    }
}

/// `ADDRESS:PORT` of the row of a session or event.
pub(super) fn endpoint(alias: &str) -> String {
    format!(
        "CASE WHEN instr({alias}.dest_addr, ':') THEN '[' || {alias}.dest_addr || ']' ELSE {alias}.dest_addr END
        || ':' || {alias}.dest_port"
    )
}

/// One value twice.
pub(super) fn twice(text: &str) -> [Value; 2] {
    [text.to_owned().into(), text.to_owned().into()]
}

impl Filter {
    /// How a session must stand, in the word used in records.
    pub(super) fn standing(&self) -> Option<&'static str> {
        if self.open { Some("open") } else { self.outcome.map(Outcome::as_str) }
    }

    /// The conditions on the process `p` of a row.
    pub(super) fn process(&self) -> Sql {
        let mut sql = Sql::default();
        sql.by("instr(p.workload, ?) > 0", self.workload.clone());
        if let Some(unit) = &self.unit {
            sql.and("p.unit = ? OR p.user_unit = ?", twice(unit));
        }
        if let Some(user) = &self.user {
            match user.parse::<u32>() {
                Ok(uid) => sql.and("p.uid = ? OR p.login_uid = ?", [uid.into(), uid.into()]),
                Err(_) => sql.and("p.user = ? OR p.login_user = ?", twice(user)),
            }
        }
        sql
    }

    /// The conditions on the session `s` of a row that hold from its beginning on.
    pub(super) fn beginning(&self) -> Sql {
        let mut sql = self.process();
        sql.by("instr(s.person, ?) > 0", self.person.clone());
        if let Some(target) = &self.target {
            sql.and(&format!("instr({}, ?) > 0 OR instr(s.target, ?) > 0", endpoint("s")), twice(target));
        }
        sql
    }
}
