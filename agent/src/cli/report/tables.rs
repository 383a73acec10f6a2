//! The parts of an access review as titled tables, the same for every format that people read.

use serde_json::Value;

use super::super::sessions::amount::{bytes, endpoint, time};
use crate::record::read::{AccessReview, ApprovalUse, Denial, ReviewedIdentity, ReviewedWho};

/// A titled table; without rows it says why.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
    /// Said in place of rows.
    pub(super) empty: &'static str,
}

/// The tables of one identity; those without rows are left out.
pub(super) fn of_identity(identity: &ReviewedIdentity) -> Vec<Table> {
    let tables = [targets(identity), statements(identity), denials(identity), approvals(identity), masked(identity)];
    tables.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

/// The tables that are about nobody in particular.
pub(super) fn general(review: &AccessReview) -> Vec<Table> {
    let unused = review.unused_grants.iter().map(|grant| {
        let who = grant.identity.as_ref().map_or_else(|| "-".to_owned(), name);
        let approval = &grant.approval;
        vec![
            approval.id.clone(),
            who,
            time(approval.requested_ns),
            text(approval.by.as_ref()),
            text(approval.reason.as_ref()),
        ]
    });
    let credentials = review.credentials.iter().map(|seen| {
        let data = if seen.data.is_null() { "-".to_owned() } else { seen.data.to_string() };
        let who = text(seen.workload.as_ref());
        vec![who, text(seen.detail.as_ref()), data, seen.count.to_string(), time(seen.last_ns)]
    });
    vec![
        Table {
            title: "Grants that were never used",
            columns: vec!["Approval", "Asked by", "Asked", "Granted by", "Reason"],
            rows: unused.collect(),
            empty: "Every approval that was granted was used.",
        },
        Table {
            title: "Configured scopes in which nothing was seen",
            columns: vec!["Scope"],
            rows: review.unseen_scopes.iter().map(|scope| vec![scope.clone()]).collect(),
            empty: "Something was seen in every configured scope, or the configuration could not be read.",
        },
        Table {
            title: "Static or long-lived credentials",
            columns: vec!["Used by", "What", "Details", "Times", "Last"],
            rows: credentials.collect(),
            empty: "None were seen.",
        },
    ]
}

/// Name of an identity on one line.
pub(super) fn name(who: &ReviewedWho) -> String {
    let workload = if who.workload.is_empty() { "unknown workload" } else { who.workload.as_str() };
    match &who.person {
        Some(person) => format!("{workload} for {person}"),
        None => workload.to_owned(),
    }
}

/// The facts beside the name.
pub(super) fn facts(who: &ReviewedWho) -> Vec<(&'static str, String)> {
    let user = who.user.as_ref().map_or_else(|| who.uid.to_string(), |user| format!("{user} ({})", who.uid));
    let facts = [
        ("Person", who.person.clone()),
        ("User", Some(user)),
        ("Unit", who.unit.clone()),
        ("Program", who.exe.clone()),
    ];
    facts.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn text(value: Option<&String>) -> String {
    value.cloned().unwrap_or_else(|| "-".to_owned())
}

fn targets(identity: &ReviewedIdentity) -> Table {
    let rows = identity.targets.iter().map(|used| {
        vec![
            text(used.target.as_ref()),
            endpoint(&used.address, used.port),
            used.sessions.to_string(),
            bytes(used.bytes_out),
            bytes(used.bytes_in),
            time(used.first_ns),
            time(used.last_ns),
        ]
    });
    Table {
        title: "Reached",
        columns: vec!["Target", "Address", "Connections", "Out", "In", "First", "Last"],
        rows: rows.collect(),
        empty: "",
    }
}

fn statements(identity: &ReviewedIdentity) -> Table {
    let rows = identity.statements.iter().map(|used| {
        vec![
            used.kind.clone(),
            text(used.table.as_ref()),
            used.access.unwrap_or("-").to_owned(),
            used.count.to_string(),
            time(used.first_ns),
            time(used.last_ns),
        ]
    });
    Table {
        title: "Asked for",
        columns: vec!["Kind", "Table", "Access", "Times", "First", "Last"],
        rows: rows.collect(),
        empty: "",
    }
}

fn denials(identity: &ReviewedIdentity) -> Table {
    let row = |denial: &Denial| {
        vec![
            denial.what.clone(),
            text(denial.target.as_ref()),
            denial.decision.clone(),
            text(denial.reason.as_ref()),
            denial.count.to_string(),
            time(denial.last_ns),
        ]
    };
    Table {
        title: "Refused",
        columns: vec!["What", "Target", "Decision", "Why", "Times", "Last"],
        rows: identity.denials.iter().map(row).collect(),
        empty: "",
    }
}

fn approvals(identity: &ReviewedIdentity) -> Table {
    let row = |entry: &ApprovalUse| {
        let approval = &entry.approval;
        vec![
            approval.id.clone(),
            approval.state.clone(),
            time(approval.requested_ns),
            text(approval.by.as_ref()),
            text(approval.reason.as_ref()),
            entry.used.to_string(),
        ]
    };
    Table {
        title: "Approvals",
        columns: vec!["Approval", "State", "Asked", "By", "Reason", "Used"],
        rows: identity.approvals.iter().map(row).collect(),
        empty: "",
    }
}

fn masked(identity: &ReviewedIdentity) -> Table {
    let rows = identity.masked.iter().map(|masked| {
        let what = match &masked.masks {
            Value::Null => "-".to_owned(),
            Value::Object(columns) => {
                let how = |how: &Value| how.as_str().map_or_else(|| how.to_string(), str::to_owned);
                let each = columns.iter().map(|(column, value)| format!("{column}: {}", how(value)));
                each.collect::<Vec<_>>().join(", ")
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => masked.masks.to_string(),
        };
        vec![what, masked.values.to_string(), masked.responses.to_string()]
    });
    Table { title: "Masked", columns: vec!["Columns", "Values", "Responses"], rows: rows.collect(), empty: "" }
}
