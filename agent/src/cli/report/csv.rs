//! An access review as lines of CSV, one a fact: who, which table, and what stands in it.

use std::borrow::Cow;

use super::super::sessions::csv::{defused, line};
use super::tables::{Table, general, of_identity};
use crate::record::read::AccessReview;

/// Fields a fact may have; the longest table has seven.
const FACTS: usize = 7;

/// The whole report.
pub(super) fn write(review: &AccessReview) -> String {
    let mut names = vec!["workload", "person", "user", "uid", "unit", "exe", "section"].into_iter().map(str::to_owned);
    let facts = (1..=FACTS).map(|number| format!("fact_{number}"));
    let mut out = line(names.by_ref().chain(facts).map(Cow::Owned));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    for identity in &review.identities {
        let who = &identity.identity;
        let who = [
            who.workload.clone(),
            text(&who.person),
            text(&who.user),
            who.uid.to_string(),
            text(&who.unit),
            text(&who.exe),
        ];
        for part in of_identity(identity) {
            out.push_str(&lines(&who, &part));
        }
    }
    for part in general(review) {
        out.push_str(&lines(&std::array::from_fn(|_| String::new()), &part));
    }
    out
}

/// `Column=value` for each field, so that a line can be read without its table.
fn lines(who: &[String; 6], table: &Table) -> String {
    let row = |row: &Vec<String>| {
        let facts = table.columns.iter().zip(row).map(|(column, value)| format!("{column}={value}"));
        let fields = who.iter().cloned().chain([table.title.to_owned()]).chain(facts);
        let fields = fields.chain(std::iter::repeat(String::new())).take(who.len() + 1 + FACTS);
        line(fields.map(|field| Cow::Owned(defused(&field).into_owned())))
    };
    table.rows.iter().map(row).collect()
}
