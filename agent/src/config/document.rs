//! A TOML document with places, and a reader of its tables that goes on after a mistake.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Problems, quoted};
use super::raw::SECTIONS;
use super::suggest::nearest;

/// Longest text of any setting.
const MAX_TEXT: usize = 4096;
/// Most entries of any list.
const MAX_LIST: usize = 256;

/// The sections of a kind of file with their keys; the first entry is the top of the file.
pub(crate) type Schema = &'static [(&'static str, &'static [&'static str])];

/// One table of the file and the section it is.
pub(crate) struct Section<'d> {
    /// As in the schema.
    name: &'static str,
    schema: Schema,
    /// Known keys.
    keys: &'static [&'static str],
    table: Option<&'d DeTable<'d>>,
}

/// Parses `text`; what is syntactically wrong goes to `problems`.
///
/// Values of a file with syntax errors are not judged: after one, a table's keys may have landed in another.
pub(crate) fn parse<'d>(text: &'d str, problems: &mut Problems) -> Option<Spanned<DeTable<'d>>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        problems.add(span, one_line(error.message()), None);
    }
    errors.is_empty().then_some(table)
}

/// The parser's messages may run over lines; ours do not.
fn one_line(message: &str) -> String {
    message.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
}

impl<'d> Section<'d> {
    /// The section `name` held in `table`; unknown keys are reported at once.
    pub(super) fn new(name: &'static str, table: Option<&'d DeTable<'d>>, problems: &mut Problems) -> Self {
        Self::of(SECTIONS, name, table, problems)
    }

    /// The same in another kind of file.
    pub(crate) fn of(
        schema: Schema,
        name: &'static str,
        table: Option<&'d DeTable<'d>>,
        problems: &mut Problems,
    ) -> Self {
        let keys = schema.iter().find(|(section, _)| *section == name).map_or(&[][..], |(_, keys)| keys);
        let section = Self { name, schema, keys, table };
        for (key, _) in in_order(table) {
            if !keys.contains(&key.get_ref().as_ref()) {
                section.unknown(key, problems);
            }
        }
        section
    }

    /// A table inside this one; absent reads as empty.
    pub(crate) fn table(&self, key: &'static str, problems: &mut Problems) -> Option<&'d DeTable<'d>> {
        let value = self.value(key)?;
        let found = value.get_ref().as_table();
        if found.is_none() {
            let of_many =
                self.schema.iter().find_map(|(name, _)| name.strip_suffix(".NAME").filter(|start| *start == key));
            let help = of_many.map_or_else(|| format!("write [{key}]"), |key| format!("write [{key}.NAME]"));
            mistyped(key, "a table", value, Some(help), problems);
        }
        found
    }

    /// Tables that were written as `[[key]]`, in the file's order, each with its place.
    pub(crate) fn tables(&self, key: &'static str, problems: &mut Problems) -> Vec<(Range<usize>, &'d DeTable<'d>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let entries = value.get_ref().as_array().into_iter().flatten();
        let tables: Vec<_> = entries.filter_map(|entry| Some((entry.span(), entry.get_ref().as_table()?))).collect();
        if value.get_ref().as_array().is_none_or(|array| array.len() != tables.len()) {
            let ending = format!(".{key}");
            let inside = self.schema.iter().find(|(name, _)| name.ends_with(&ending));
            let name = inside.map_or(key, |(name, _)| name);
            mistyped(key, "tables", value, Some(format!("write [[{name}]]")), problems);
        }
        tables
    }

    /// A text.
    pub(crate) fn text(&self, key: &'static str, problems: &mut Problems) -> Option<Spanned<String>> {
        let value = self.value(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return checked_text(key, text, value.span(), problems);
        }
        let help = as_text(value.get_ref()).map(|text| format!("write {key} = \"{text}\""));
        mistyped(key, "a string", value, help, problems);
        None
    }

    /// A length of time, still as text. A bare number is a common slip, so it gets its own advice.
    pub(super) fn span(&self, key: &'static str, problems: &mut Problems) -> Option<Spanned<String>> {
        let value = self.value(key)?;
        if let DeValue::Integer(number) = value.get_ref() {
            let help = format!("write {key} = \"{number}s\" for seconds");
            mistyped(key, "a length of time in quotes", value, Some(help), problems);
            return None;
        }
        self.text(key, problems)
    }

    /// A whole number.
    pub(crate) fn integer(&self, key: &'static str, problems: &mut Problems) -> Option<Spanned<i64>> {
        let value = self.value(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            let help = value.get_ref().as_str().and_then(|text| text.parse::<i64>().ok());
            mistyped(key, "a whole number", value, help.map(|number| format!("write {key} = {number}")), problems);
            return None;
        };
        let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
        // Too large for the type is too large for every setting, and the range check says so.
        Some(Spanned::new(value.span(), parsed.unwrap_or(i64::MAX)))
    }

    /// Yes or no.
    pub(crate) fn flag(&self, key: &'static str, problems: &mut Problems) -> Option<Spanned<bool>> {
        let value = self.value(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(Spanned::new(value.span(), *flag));
        }
        let help = Some(format!("write {key} = true or {key} = false"));
        mistyped(key, "true or false", value, help, problems);
        None
    }

    /// One text or a list of at least one; with `numbers`, whole numbers count as texts.
    pub(crate) fn texts(&self, key: &'static str, numbers: bool, problems: &mut Problems) -> Vec<Spanned<String>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
            let help = Some("name something or drop the key".to_owned());
            problems.add(value.span(), format!("`{key}` is an empty list"), help);
        }
        self.list(key, numbers, problems).unwrap_or_default()
    }

    /// One text or a list of texts, perhaps empty.
    pub(crate) fn list(
        &self,
        key: &'static str,
        numbers: bool,
        problems: &mut Problems,
    ) -> Option<Vec<Spanned<String>>> {
        let value = self.value(key)?;
        let entries: Vec<_> = match value.get_ref().as_array() {
            Some(array) => array.iter().collect(),
            None => vec![value],
        };
        if entries.len() > MAX_LIST {
            let message = format!("`{key}` lists {} entries; {MAX_LIST} is the most", entries.len());
            problems.add(value.span(), message, None);
            return None;
        }
        Some(entries.iter().filter_map(|entry| list_entry(key, entry, numbers, problems)).collect())
    }

    /// Whether the file says anything about `key`.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    fn value(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        debug_assert!(self.keys.contains(&key), "[{}] {key} is not in the schema", self.name);
        self.table?.get(key)
    }

    fn unknown(&self, key: &Spanned<std::borrow::Cow<'_, str>>, problems: &mut Problems) {
        let word = key.get_ref().as_ref();
        let top = self.name.is_empty();
        let message = match (top, self.name) {
            (true, _) => format!("unknown section or key {}", quoted(word)),
            (false, name) => format!("unknown key {} in [{name}]", quoted(word)),
        };
        let help = if let Some(near) = nearest(word, self.keys.iter().copied()) {
            Some(format!("did you mean `{near}`?"))
        } else if let Some((home, _)) = self.schema.iter().find(|(_, keys)| keys.contains(&word)) {
            Some(if home.is_empty() { format!("it is a section: [{word}]") } else { format!("it belongs in [{home}]") })
        } else {
            Some(format!("known here: {}", self.keys.join(", ")))
        };
        problems.add(key.span(), message, help);
    }
}

/// A table's entries as they stand in the file; scopes are numbered in this order.
pub(crate) fn in_order<'d>(
    table: Option<&'d DeTable<'d>>,
) -> Vec<(&'d Spanned<std::borrow::Cow<'d, str>>, &'d Spanned<DeValue<'d>>)> {
    let mut entries: Vec<_> = table.into_iter().flatten().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Reports a value of the wrong type.
pub(crate) fn mistyped(
    key: &str,
    wanted: &str,
    value: &Spanned<DeValue<'_>>,
    help: Option<String>,
    problems: &mut Problems,
) {
    let kind = value.get_ref().type_str();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    problems.add(value.span(), format!("`{key}` must be {wanted}, not {article} {kind}"), help);
}

fn list_entry(
    key: &'static str,
    entry: &Spanned<DeValue<'_>>,
    numbers: bool,
    problems: &mut Problems,
) -> Option<Spanned<String>> {
    if let DeValue::String(text) = entry.get_ref() {
        return checked_text(key, text, entry.span(), problems);
    }
    if let Some(number) = entry.get_ref().as_integer().filter(|number| numbers && number.radix() == 10) {
        return Some(Spanned::new(entry.span(), number.as_str().replace('_', "")));
    }
    mistyped(key, "a string or a list of strings", entry, None, problems);
    None
}

fn checked_text(key: &str, text: &str, span: Range<usize>, problems: &mut Problems) -> Option<Spanned<String>> {
    let wrong = if text.is_empty() {
        "is empty"
    } else if text.len() > MAX_TEXT {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "has a control character in it"
    } else {
        return Some(Spanned::new(span, text.to_owned()));
    };
    problems.add(span, format!("`{key}` {wrong}"), None);
    None
}

fn as_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Datetime(value) => Some(value.to_string()),
        DeValue::String(_) | DeValue::Float(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
