//! Statements that try to see a protected value in clear, and where they could leave one.
//!
//! Nothing is detected here: columns are protected by rules alone, so that only where a value comes from tells.
//! Each case is run twice, directly and intercepted, on databases that are alike.

use super::{
    Field, Findings,
    script::{Case, Outcome, Stage, cases},
    secrets::Secrets,
    wire::cells,
};
use std::{fs, path::Path};

/// Nobody may see anything in clear.
const POLICY: &str = r#"@id("all") permit(principal, action in [Action::"connect", Action::"execute"], resource);"#;
const CLASSES: &str = r#"
[class.ssn]
mask = "redact"
[class.card]
mask = "keep-last"
keep = 4
[[column]]
class = "ssn"
schema = "public"
table = ["users", "parts", "derived", "tenants"]
column = "ssn"
[[column]]
class = "ssn"
table = "vault"
column = ["num", "amount", "doc", "plain", "list", "nums", "pair", "bytes", "day", "span", "spans", "dom", "chars",
    "markup", "vector", "mood", "ratio", "place"]
[[column]]
class = "card"
table = "orders"
column = "card"
"#;
/// Besides: nobody may ask what only the choice of rows would answer.
const NO_PREDICATES: &str = r#"@id("predicates") forbid(principal, action == Action::"execute", resource is Database)
unless { context has protected_predicates && context.protected_predicates.isEmpty() };"#;
/// What a masked value may be that was the same before.
const BLANK: [&[u8]; 5] = [b"***", b"0", b"f", b"{}", b"[]"];

#[test]
fn evasion_nobody_sees_what_is_masked_simply() {
    nobody_sees(&[false]);
}

#[test]
fn evasion_nobody_sees_what_is_masked_in_binary() {
    nobody_sees(&[true]);
}

/// Runs the corpus with simple queries, with the extended protocol and binary results, or with both.
fn nobody_sees(formats: &[bool]) {
    let field = Field::new(POLICY, CLASSES);
    let secrets = Secrets::sent();
    let mut findings = Findings::default();
    let mut pair = field.pair();
    for case in cases(include_str!("masking.sql")) {
        let extended = case.is_plain() && !case.is("simple");
        let formats: Vec<bool> = formats.iter().copied().filter(|binary| extended || !binary).collect();
        for binary in &formats {
            try_one(&field, &pair, (&case, *binary), &secrets, &mut findings);
        }
        if case.is("reset") && !formats.is_empty() {
            pair = field.pair();
        }
    }
    remembered(&field, &mut findings);
    findings.none();
}

fn try_one(field: &Field, pair: &[String; 2], (case, binary): (&Case, bool), secrets: &Secrets, to: &mut Findings) {
    let lines: Vec<Vec<u8>> =
        case.lines.iter().map(|line| if binary { [b"\\x ", &line[..]].concat() } else { line.clone() }).collect();
    let name = format!("{}{}", case.name, if binary { " (binary)" } else { "" });
    let [ours, theirs] = [("job", &pair[0]), ("bystander", &pair[1])]
        .map(|(unit, database)| Stage { world: &field.world, unit, database }.say(&lines));
    if std::env::var_os("EVASION_TELL").is_some() {
        eprintln!("{name}: {} of {} rows, {:?}", ours.of(b'D').count(), theirs.of(b'D').count(), ours.errors());
    }
    let own = case.is("own");
    if let Some(what) = secrets.found_in(&ours.bytes).filter(|_| !own) {
        to.add(&name, format_args!("{what} was sent: {}", String::from_utf8_lossy(&ours.bytes)));
    }
    let pieces: Vec<u8> = ours.of(b'D').flat_map(cells).flatten().flatten().collect();
    if let Some(what) = secrets.found_among_digits(&pieces).filter(|_| !own) {
        to.add(&name, format_args!("{what} was sent in pieces"));
    }
    // What is not known by name is told to be so.
    let denied = ours.errors().iter().any(|error| error.starts_with("42501") || error.starts_with("26000 this"));
    if ours.closed {
        to.add(&name, format_args!("the connection was closed: {:?}", ours.errors()));
    } else if denied != case.is("denied") && !case.is("either") {
        to.add(&name, format_args!("denied {denied}: {:?}", ours.errors()));
    } else if !denied && !case.is("any") && !own {
        compare(&name, case, (&ours, &theirs), to);
    }
}

/// What came back has to be as much as directly, and other values.
fn compare(name: &str, case: &Case, (ours, theirs): (&Outcome, &Outcome), to: &mut Findings) {
    if ours.of(b'D').count() != theirs.of(b'D').count() {
        let (n, of) = (ours.of(b'D').count(), theirs.of(b'D').count());
        to.add(name, format_args!("{n} rows instead of {of}: {:?}", ours.errors()));
        return;
    }
    let clear: Vec<usize> = case
        .value("clear")
        .into_iter()
        .flat_map(|list| list.split(','))
        .filter_map(|place| place.parse().ok())
        .collect();
    let same = |cell: &Vec<u8>| !BLANK.contains(&cell.as_slice()) && cell.iter().any(|byte| *byte != 0);
    for (ours, theirs) in ours.of(b'D').zip(theirs.of(b'D')) {
        for (place, (ours, theirs)) in cells(ours).into_iter().zip(cells(theirs)).enumerate() {
            let is_clear = clear.contains(&(place + 1)) || case.is("clear");
            let equal = ours == theirs && ours.as_ref().is_some_and(same);
            if equal && !is_clear {
                let cell = String::from_utf8_lossy(ours.as_deref().unwrap_or_default()).into_owned();
                return to.add(name, format_args!("column {} is as it was: {cell}", place + 1));
            }
            if is_clear && ours != theirs {
                let cell = String::from_utf8_lossy(ours.as_deref().unwrap_or_default()).into_owned();
                return to.add(name, format_args!("column {} is masked for nothing: {cell}", place + 1));
            }
        }
    }
}

/// Nothing of it is in the store, either: not even what the cases themselves said.
fn remembered(field: &Field, to: &mut Findings) {
    let secrets = Secrets::kept();
    let exported = field.world.daemon.cli(&["sessions", "export"]);
    for line in exported.out.lines() {
        if let Some(what) = secrets.shown_in(line.as_bytes()) {
            to.add("sessions export", what);
        }
    }
    files(&field.world.site.bed.state().join("sessions"), &mut |path, bytes| {
        if let Some(what) = secrets.found_in(bytes) {
            to.add("the store", format_args!("{what} in {}", path.display()));
        }
    });
    if let Some(what) = secrets.shown_in(field.world.daemon.log().as_bytes()) {
        to.add("the log", what);
    }
}

fn files(directory: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(directory).expect("the store").flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), look),
            Ok(_) | Err(_) => look(&entry.path(), &fs::read(entry.path()).unwrap_or_default()),
        }
    }
}

#[test]
fn evasion_what_is_not_protected_comes_back_as_it_is() {
    let field = Field::new(POLICY, CLASSES);
    let mut findings = Findings::default();
    let pair = field.pair();
    for case in cases(include_str!("control.sql")) {
        for prefix in [&b""[..], b"\\t ", b"\\x "].into_iter().take(if case.is_plain() { 3 } else { 1 }) {
            let lines: Vec<Vec<u8>> = case.lines.iter().map(|line| [prefix, &line[..]].concat()).collect();
            let said = [("job", &pair[0]), ("bystander", &pair[1])]
                .map(|(unit, database)| Stage { world: &field.world, unit, database }.say(&lines).bytes);
            if said[0] != said[1] {
                let [ours, theirs] = said.map(|said| String::from_utf8_lossy(&said).into_owned());
                findings.add(&case.name, format_args!("{ours:?} instead of {theirs:?}"));
            }
        }
    }
    findings.none();
}

#[test]
fn evasion_policies_can_forbid_to_choose_by_what_is_masked() {
    let field = Field::new(&format!("{POLICY}{NO_PREDICATES}"), CLASSES);
    let mut findings = Findings::default();
    let pair = field.pair();
    for case in cases(include_str!("inference.sql")) {
        let outcome = Stage { world: &field.world, unit: "job", database: &pair[0] }.say(&case.lines);
        let denied = outcome.errors().iter().any(|error| error.starts_with("42501"));
        if denied == case.is("passes") {
            findings.add(&case.name, format_args!("denied {denied}: {:?}", outcome.errors()));
        }
    }
    findings.none();
}
