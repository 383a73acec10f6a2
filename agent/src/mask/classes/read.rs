//! Takes classification files apart: `[class.NAME]`, `[[column]]`, `[[field]]`, `[[header]]`.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::path::PathPattern;
use super::{MAX_CLASSES, MAX_RULES, Place, Written};
use crate::config::document::{Schema, Section, in_order, mistyped, parse};
use crate::config::{Glob, Problems, nearest, quoted};
use crate::mask::detect::Detector;
use crate::mask::function::{DateUnit, Function, MAX_KEPT};
use crate::policy::Source;

const SECTIONS: Schema = &[
    ("", &["class", "column", "field", "header"]),
    ("class.NAME", &["mask", "keep", "to", "step", "value", "detect"]),
    ("column", &["class", "target", "schema", "table", "column"]),
    ("field", &["class", "target", "path"]),
    ("header", &["class", "target", "name"]),
];

/// Functions, and the setting each needs.
const FUNCTIONS: [(&str, Option<&str>); 7] = [
    ("null", None),
    ("redact", None),
    ("constant", Some("value")),
    ("hash", None),
    ("truncate-date", Some("to")),
    ("generalise", Some("step")),
    ("keep-last", Some("keep")),
];

/// A class as it was written.
pub(super) struct ReadClass {
    pub(super) source: usize,
    pub(super) name: Spanned<String>,
    pub(super) function: Function,
}

/// Everything that was read; classes the strictest first.
#[derive(Default)]
pub(super) struct Read {
    pub(super) classes: Vec<ReadClass>,
    pub(super) rules: Vec<Written>,
    pub(super) detected: BTreeMap<Detector, (usize, usize, Range<usize>)>,
}

/// A rule whose class is still a name.
struct Named {
    class: Spanned<String>,
    rule: Written,
}

/// A detector some class asks for.
struct Wanted {
    class: String,
    source: usize,
    name: Spanned<String>,
}

/// Reads all files; the result counts only while there are no problems.
pub(super) fn read(sources: &[&Source], problems: &mut [Problems]) -> Read {
    let mut reader = Reader { classes: Vec::new(), rules: Vec::new(), wanted: Vec::new() };
    for (at, (source, problems)) in sources.iter().zip(problems.iter_mut()).enumerate() {
        if let Some(root) = parse(&source.text, problems) {
            reader.file(at, root.get_ref(), problems);
        }
    }
    reader.together(sources, problems)
}

struct Reader {
    classes: Vec<ReadClass>,
    rules: Vec<Named>,
    wanted: Vec<Wanted>,
}

impl Reader {
    fn file(&mut self, source: usize, root: &DeTable<'_>, problems: &mut Problems) {
        let top = Section::of(SECTIONS, "", Some(root), problems);
        for (name, value) in in_order(top.table("class", problems)) {
            self.class(source, name, value, problems);
        }
        for kind in ["column", "field", "header"] {
            for (span, table) in top.tables(kind, problems) {
                let section = Section::of(SECTIONS, kind, Some(table), problems);
                self.rule(kind, (source, &span), &section, problems);
            }
        }
    }

    fn class(
        &mut self,
        source: usize,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        problems: &mut Problems,
    ) {
        let Some(table) = value.get_ref().as_table() else {
            let help = Some("write [class.NAME]; a dot in a name needs quotes: [class.\"pii.email\"]".to_owned());
            return mistyped(name.get_ref(), "a table", value, help, problems);
        };
        let text = name.get_ref().as_ref();
        // `[class.pii.email]` is a table `email` inside a class `pii`.
        if table.values().any(|value| value.get_ref().is_table()) && !table.contains_key("mask") {
            let help = Some(format!("a dot in a name needs quotes: [class.\"{text}.NAME\"]"));
            problems.add(name.span(), format!("{} holds another table", quoted(text)), help);
            return;
        }
        let section = Section::of(SECTIONS, "class.NAME", Some(table), problems);
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        if text.is_empty() || text.len() > 64 || !text.chars().all(is_good) {
            let help = Some("1 to 64 of a-z, 0-9, `.`, `-` and `_`".to_owned());
            problems.add(name.span(), format!("{} cannot be a class's name", quoted(text)), help);
        }
        for detector in section.texts("detect", false, problems) {
            self.wanted.push(Wanted { class: text.to_owned(), source, name: detector });
        }
        if let Some(function) = function(&section, name.span(), problems) {
            self.classes.push(ReadClass { source, name: Spanned::new(name.span(), text.to_owned()), function });
        }
    }

    fn rule(
        &mut self,
        kind: &'static str,
        (source, span): (usize, &Range<usize>),
        section: &Section<'_>,
        problems: &mut Problems,
    ) {
        let target = globs("target", section, problems);
        let place = match kind {
            "column" => {
                let named = ["schema", "table", "column"].iter().any(|key| section.has(key));
                if !named {
                    let help = Some("to protect every column, write column = \"*\"".to_owned());
                    problems.add(span.clone(), "this rule says no schema, table or column", help);
                }
                let [schema, table, column] = ["schema", "table", "column"].map(|key| globs(key, section, problems));
                Place::Column { schema, table, column }
            }
            "field" => {
                required("path", section, span, problems);
                let texts = section.texts("path", false, problems);
                Place::Field(texts.iter().filter_map(|text| path(text, problems)).collect())
            }
            _ => {
                required("name", section, span, problems);
                section.texts("name", false, problems).iter().for_each(|name| header(name, problems));
                Place::Header(globs("name", section, problems))
            }
        };
        required("class", section, span, problems);
        if let Some(class) = section.text("class", problems) {
            let rule = Written { source, span: class.span(), class: 0, target, place };
            self.rules.push(Named { class, rule });
        }
    }

    /// Rules and detectors of all files find their classes in all files.
    fn together(mut self, sources: &[&Source], problems: &mut [Problems]) -> Read {
        let mut add = |source: usize, span: Range<usize>, message: String, help: Option<String>| {
            if let Some(problems) = problems.get_mut(source) {
                problems.add(span, message, help);
            }
        };
        self.classes
            .sort_by(|a, b| a.function.by_strictness(&b.function).then_with(|| a.name.get_ref().cmp(b.name.get_ref())));
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (at, class) in self.classes.iter().enumerate() {
            let other = places.insert(class.name.get_ref().clone(), at).and_then(|at| self.classes.get(at));
            if let Some(other) = other {
                let (first, second) =
                    if (other.source, other.name.span().start) < (class.source, class.name.span().start) {
                        (other, class)
                    } else {
                        (class, other)
                    };
                let file = sources.get(first.source).map_or("", |source| &source.name);
                let message = format!("class {} is defined in {file} already", quoted(class.name.get_ref()));
                add(second.source, second.name.span(), message, Some("give it once".to_owned()));
            }
        }
        if let Some(class) = self.classes.get(MAX_CLASSES) {
            let message = format!("{} classes; {MAX_CLASSES} is the most", self.classes.len());
            add(class.source, class.name.span(), message, None);
        }
        if let Some(Named { rule, .. }) = self.rules.get(MAX_RULES) {
            let message = format!("{} rules; {MAX_RULES} is the most", self.rules.len());
            let help = "one rule may list many columns".to_owned();
            add(rule.source, rule.span.clone(), message, Some(help));
        }
        let mut rules = Vec::new();
        for Named { class, mut rule } in self.rules.into_iter().take(MAX_RULES) {
            match places.get(class.get_ref()) {
                Some(at) => {
                    rule.class = *at;
                    rules.push(rule);
                }
                None => {
                    let near = nearest(class.get_ref(), places.keys().map(String::as_str));
                    let help = near.map_or_else(
                        || format!("define it: [class.\"{}\"]", class.get_ref()),
                        |near| format!("did you mean `{near}`?"),
                    );
                    let message = format!("there is no class {}", quoted(class.get_ref()));
                    add(rule.source, class.span(), message, Some(help));
                }
            }
        }
        let mut detected = BTreeMap::new();
        for Wanted { class, source, name } in self.wanted {
            let Some(detector) = Detector::named(name.get_ref()) else {
                let known = Detector::ALL.map(Detector::as_str);
                let help = nearest(name.get_ref(), known).map_or_else(
                    || format!("there are: {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                add(source, name.span(), format!("there is no detector {}", quoted(name.get_ref())), Some(help));
                continue;
            };
            let Some(at) = places.get(&class) else { continue };
            if detected.insert(detector, (*at, source, name.span())).is_some_and(|(other, ..)| other != *at) {
                let message = format!("another class has the detector {} already", quoted(name.get_ref()));
                add(source, name.span(), message, Some("what it finds is of one class".to_owned()));
            }
        }
        Read { classes: self.classes, rules, detected }
    }
}

fn required(key: &'static str, section: &Section<'_>, span: &Range<usize>, problems: &mut Problems) {
    if !section.has(key) {
        problems.add(span.clone(), format!("`{key}` is missing"), None);
    }
}

fn globs(key: &'static str, section: &Section<'_>, problems: &mut Problems) -> Vec<Glob> {
    let texts = section.texts(key, false, problems);
    texts.iter().map(|text| Glob::new(text.get_ref().to_lowercase())).collect()
}

fn path(text: &Spanned<String>, problems: &mut Problems) -> Option<PathPattern> {
    let parsed = PathPattern::parse(text.get_ref());
    if let Err(why) = parsed {
        let help = Some("for example \"$.users[*].email\" or \"$..email\"".to_owned());
        problems.add(text.span(), format!("{} is no path: {why}", quoted(text.get_ref())), help);
    }
    parsed.ok()
}

/// Names of headers are tokens (RFC 9110, section 5.6.2).
fn header(name: &Spanned<String>, problems: &mut Problems) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~?".contains(&byte);
    if !name.get_ref().bytes().all(is_token) {
        let trimmed = name.get_ref().trim_end_matches([':', ' ']);
        let help = trimmed.bytes().all(is_token).then(|| format!("write \"{trimmed}\""));
        problems.add(name.span(), format!("{} cannot be a header's name", quoted(name.get_ref())), help);
    }
}

fn function(section: &Section<'_>, at: Range<usize>, problems: &mut Problems) -> Option<Function> {
    if !section.has("mask") {
        let help = Some("the strictest that is still of use, for example mask = \"redact\"".to_owned());
        problems.add(at, "`mask` is missing", help);
        return None;
    }
    let mask = section.text("mask", problems)?;
    let Some((name, setting)) = FUNCTIONS.iter().find(|(name, _)| name == mask.get_ref()) else {
        let names = FUNCTIONS.map(|(name, _)| name);
        let help = nearest(mask.get_ref(), names)
            .map_or_else(|| format!("there are: {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        problems.add(mask.span(), format!("{} masks nothing", quoted(mask.get_ref())), Some(help));
        return None;
    };
    for (other, key) in FUNCTIONS.iter().filter_map(|(other, key)| Some((other, (*key)?))) {
        match (Some(key) == *setting, section.has(key)) {
            (true, false) => problems.add(mask.span(), format!("\"{name}\" needs `{key}`"), None),
            (false, true) => {
                let help = Some(format!("`{key}` is for \"{other}\""));
                problems.add(mask.span(), format!("\"{name}\" does not take `{key}`"), help);
            }
            (true, true) | (false, false) => {}
        }
    }
    match *name {
        "null" => Some(Function::Null),
        "redact" => Some(Function::Redact),
        "hash" => Some(Function::Hash),
        "constant" => section.text("value", problems).map(|value| Function::Constant(value.into_inner())),
        "truncate-date" => {
            let to = section.text("to", problems)?;
            match to.get_ref().as_str() {
                "month" => Some(Function::TruncateDate(DateUnit::Month)),
                "year" => Some(Function::TruncateDate(DateUnit::Year)),
                other => {
                    let help = Some("\"month\" or \"year\"".to_owned());
                    problems.add(to.span(), format!("a date is not truncated to {}", quoted(other)), help);
                    None
                }
            }
        }
        "generalise" => number("step", section, 2..=i64::MAX, problems)?.try_into().ok().map(Function::Generalise),
        _ => number("keep", section, 1..=MAX_KEPT.into(), problems)?.try_into().ok().map(Function::KeepLast),
    }
}

fn number(
    key: &'static str,
    section: &Section<'_>,
    range: std::ops::RangeInclusive<i64>,
    problems: &mut Problems,
) -> Option<i64> {
    let number = section.integer(key, problems)?;
    let value = *number.get_ref();
    if !range.contains(&value) {
        let most = if *range.end() == i64::MAX { " or more".to_owned() } else { format!(" to {}", range.end()) };
        problems.add(number.span(), format!("`{key}` must be {}{most}", range.start()), None);
        return None;
    }
    Some(value)
}
