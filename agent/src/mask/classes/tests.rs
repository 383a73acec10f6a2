//! Classification files: what they say, and what is said about those that are wrong.

use proptest::prelude::*;

use super::*;
use crate::policy::question::Target;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn checked(text: &str) -> Result<Classes, Vec<Finding>> {
    check(&[source("classes.toml", text)], &Key::new([1; 32]))
}

fn good(text: &str) -> Classes {
    checked(text).unwrap_or_else(|findings| panic!("{}", findings[0]))
}

fn target(name: &str) -> Target {
    Target { name: Some(name.to_owned()), ..Target::opaque([10, 0, 0, 5].into(), 5432) }
}

const CLASSES: &str = r#"
[class."pii.email"]
mask = "hash"
[class.pan]
mask = "keep-last"
keep = 4
detect = "pan"
[class.secret]
mask = "redact"
detect = ["jwt", "secret"]
[class.birth]
mask = "truncate-date"
to = "year"
[class.salary]
mask = "generalise"
step = 1000

[[column]]
class = "pii.email"
column = ["email", "*_mail"]
[[column]]
class = "secret"
target = "crm-*"
table = "customer"
[[column]]
class = "salary"
schema = "hr"
table = "p*"
column = "SALARY"
[[field]]
class = "pii.email"
path = ["$..email", "$.contacts[*]"]
[[header]]
class = "secret"
name = ["authorization", "x-*-token"]
"#;

#[test]
fn columns_fields_and_headers_have_classes() {
    let classes = good(CLASSES);
    let crm = target("crm-eu");
    let name = |class: Option<&Arc<Class>>| class.map(|class| class.name().to_owned()).unwrap_or_default();
    for (target, schema, table, column, expected) in [
        (&crm, Some("public"), Some("person"), "email", "pii.email"),
        (&crm, Some("public"), Some("person"), "EMail", "pii.email"),
        (&crm, Some("public"), Some("person"), "work_mail", "pii.email"),
        (&crm, Some("public"), Some("person"), "mail_work", ""),
        // Both rules are about it, and redaction leaves less than a hash.
        (&crm, Some("public"), Some("customer"), "email", "secret"),
        (&crm, Some("public"), Some("customer"), "id", "secret"),
        (&target("erp"), Some("public"), Some("customer"), "id", ""),
        (&target("erp"), Some("hr"), Some("Pay"), "salary", "salary"),
        (&target("erp"), Some("public"), Some("pay"), "salary", ""),
        // What is behind an expression may be any table's.
        (&target("erp"), None, None, "salary", "salary"),
        (&crm, None, None, "id", "secret"),
    ] {
        assert_eq!(name(classes.of_column(target, schema, table, column)), expected, "{schema:?} {table:?} {column}");
    }
    let both = classes.every_of_column(&crm, None, Some("customer"), "email");
    assert_eq!(both.iter().map(|class| class.name()).collect::<Vec<_>>(), ["secret", "pii.email"]);
    let path = [Step::Key("contacts"), Step::Index(2), Step::Key("name")];
    assert_eq!(name(classes.of_field(&crm, &path)), "pii.email");
    assert_eq!(name(classes.of_field(&crm, &path[..1])), "");
    assert_eq!(name(classes.of_header(&crm, "Authorization")), "secret");
    assert_eq!(name(classes.of_header(&crm, "X-Vault-Token")), "secret");
    assert_eq!(name(classes.of_header(&crm, "x-token")), "");
    assert_eq!(name(classes.of_hit(Detector::Jwt)), "secret");
    assert_eq!(name(classes.of_hit(Detector::Iban)), "");
    assert!(classes.detectors().has(Detector::Pan) && !classes.detectors().has(Detector::Iban));
    let order: Vec<&str> = classes.iter().map(|class| class.name()).collect();
    assert_eq!(order, ["secret", "pii.email", "birth", "salary", "pan"], "the strictest first");
}

#[test]
fn a_target_is_its_name_or_its_address_or_its_host() {
    let classes = good(
        "[class.a]\nmask = \"null\"\n[[column]]\nclass = \"a\"\ncolumn = \"x\"\ntarget = [\"10.0.0.5:*\", \"*.example.org\"]\n",
    );
    let unnamed = Target::opaque([10, 0, 0, 5].into(), 5432);
    let hosted = Target { host: Some("DB.example.org".to_owned()), ..target("crm") };
    assert!(classes.of_column(&unnamed, None, None, "x").is_some());
    assert!(classes.of_column(&hosted, None, None, "x").is_some());
    assert!(classes.of_column(&target("crm"), None, None, "x").is_none());
}

#[test]
fn mistakes_are_told_with_their_place() {
    let class = "[class.a]\nmask = \"redact\"\n[[column]]\nclass = \"a\"\ncolumn = \"x\"\n";
    for (text, expected) in [
        ("[clas.a]\n", "1:2: unknown section or key \"clas\""),
        ("[class.a]\nmaks = \"redact\"\n", "2:1: unknown key \"maks\" in [class.NAME]"),
        ("[class.a]\nmaks = \"redact\"\n", "did you mean `mask`?"),
        ("[class.a]\n", "1:8: `mask` is missing"),
        ("[class.a]\nmask = \"redcat\"\n", "2:8: \"redcat\" masks nothing"),
        ("[class.a]\nmask = \"redcat\"\n", "did you mean `redact`?"),
        ("[class.a]\nmask = \"keep-last\"\n", "2:8: \"keep-last\" needs `keep`"),
        ("[class.a]\nmask = \"keep-last\"\nkeep = 0\n", "3:8: `keep` must be 1 to 32"),
        ("[class.a]\nmask = \"keep-last\"\nkeep = 99\n", "3:8: `keep` must be 1 to 32"),
        ("[class.a]\nmask = \"redact\"\nkeep = 4\n", "`keep` is for \"keep-last\""),
        ("[class.a]\nmask = \"generalise\"\nstep = 1\n", "3:8: `step` must be 2 or more"),
        ("[class.a]\nmask = \"truncate-date\"\nto = \"day\"\n", "3:6: a date is not truncated to \"day\""),
        ("[class.A]\nmask = \"redact\"\n", "1:8: \"A\" cannot be a class's name"),
        ("[class.pii.email]\nmask = \"redact\"\n", "a dot in a name needs quotes: [class.\"pii.NAME\"]"),
        ("[class.a]\nmask = \"redact\"\ndetect = \"credit\"\n", "3:10: there is no detector \"credit\""),
        ("[class.a]\nmask = \"redact\"\ndetect = \"emial\"\n", "did you mean `email`?"),
        (
            "[class.a]\nmask = \"null\"\ndetect = \"pan\"\n[class.b]\nmask = \"hash\"\ndetect = \"pan\"\n",
            "another class has the detector",
        ),
        ("[[column]]\nclass = \"b\"\ncolumn = \"x\"\n", "2:9: there is no class \"b\""),
        ("[class.ab]\nmask = \"null\"\n[[column]]\nclass = \"abc\"\ncolumn = \"x\"\n", "define it"),
        ("[[column]]\ncolumn = \"x\"\n", "`class` is missing"),
        ("[[column]]\nclass = \"a\"\n", "this rule says no schema, table or column"),
        ("[column]\nclass = \"a\"\n", "write [[column]]"),
        ("[[column]]\nclass = \"a\"\ncolumn = []\n", "`column` is an empty list"),
        ("[[column]]\nclass = \"a\"\npath = \"x\"\n", "it belongs in [field]"),
        ("[[field]]\nclass = \"a\"\npath = \"users.email\"\n", "3:8: \"users.email\" is no path"),
        ("[[header]]\nclass = \"a\"\nname = \"Authorization:\"\n", "write \"Authorization\""),
        ("[class.a]\nmask = \n", "2:8: "),
    ] {
        let text = if text.starts_with("[[") { format!("{text}{class}") } else { text.to_owned() };
        let findings = checked(&text).map(|_| ()).expect_err(&text);
        let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains("classes.toml:") && said.contains(expected), "{text}: {expected} in\n{said}");
        assert!(said.contains('^'), "{said}");
    }
}

#[test]
fn files_are_one_set() {
    let class = source("b.toml", "[class.a]\nmask = \"redact\"\n");
    let rule = source("a.toml", "[[column]]\nclass = \"a\"\ncolumn = \"x\"\n");
    let key = Key::new([1; 32]);
    let classes = check(&[class.clone(), rule], &key).unwrap();
    assert!(classes.of_column(&target("t"), None, None, "x").is_some());
    let again = source("c.toml", "[class.a]\nmask = \"hash\"\n");
    let said = check(&[again, class], &key).map(|_| ()).unwrap_err()[0].to_string();
    assert!(said.starts_with("c.toml:1:8: class \"a\" is defined in b.toml already"), "{said}");
}

#[test]
fn there_are_limits() {
    let rules = "[[column]]\nclass = \"a\"\ncolumn = \"x\"\n".repeat(MAX_RULES);
    let most = format!("[class.a]\nmask = \"redact\"\n{rules}");
    assert!(checked(&most).is_ok());
    let said = checked(&format!("{most}[[column]]\nclass = \"a\"\ncolumn = \"y\"\n")).map(|_| ()).unwrap_err();
    assert!(said[0].to_string().contains("4097 rules; 4096 is the most"), "{}", said[0]);
    let classes: String = (0..=MAX_CLASSES).map(|at| format!("[class.c{at}]\nmask = \"redact\"\n")).collect();
    let said = checked(&classes).map(|_| ()).unwrap_err();
    assert!(said[0].to_string().contains("257 classes; 256 is the most"), "{}", said[0]);
}

#[test]
fn what_has_no_effect_is_pointed_out() {
    let head = "[class.a]\nmask = \"redact\"\n[class.b]\nmask = \"hash\"\n";
    let rule = |class: &str, rest: &str| format!("[[column]]\nclass = \"{class}\"\n{rest}\n");
    let warned = |rules: &[String]| {
        let classes = good(&format!("{head}{}", rules.concat()));
        classes.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let both = [rule("a", "column = \"x\""), rule("b", "column = \"y\"")];
    assert!(warned(&both).is_empty(), "{:?}", warned(&both));
    let said = warned(&[rule("b", "column = \"x\""), rule("a", "column = \"x\"")]);
    assert!(said.len() == 1 && said[0].contains("classes.toml:6:9: the same is of class \"a\""), "{said:?}");
    let said = warned(&[rule("b", "column = \"e_mail\"\ntable = \"t\""), rule("a", "column = \"e*mail\"")]);
    assert!(said.len() == 1 && said[0].contains("never decides: the one at classes.toml:10"), "{said:?}");
    // The wider one is the less strict: both matter.
    let said = warned(&[rule("a", "column = \"e_mail\"\ntable = \"t\""), rule("b", "column = \"e*mail\"")]);
    assert!(said.is_empty(), "{said:?}");
    let said = warned(&[rule("a", "column = \"e?mail\""), rule("b", "column = \"e*mail\"")]);
    assert!(said.is_empty(), "{said:?}");
    let said = warned(&[rule("a", "column = \"x\"")]);
    assert!(said.len() == 1 && said[0].contains("nothing is of class \"b\""), "{said:?}");
    let said = warned(&[both.concat(), rule("a", "column = \"x\"")]);
    assert!(said.len() == 1 && said[0].contains("never decides"), "{said:?}");
}

proptest! {
    /// The lookup by name finds what comparing every rule would find.
    #[test]
    fn the_index_agrees_with_every_rule(
        rules in proptest::collection::vec(("[ab*?]{1,3}", "[ab*]{1,2}", 0..3_usize), 1..8),
        column in "[ab]{1,3}",
        table in "[ab]{1,2}",
    ) {
        let functions = ["\"null\"", "\"redact\"", "\"hash\""];
        let mut text: String =
            functions.iter().enumerate().map(|(at, mask)| format!("[class.c{at}]\nmask = {mask}\n")).collect();
        for (column, table, class) in &rules {
            text.push_str(&format!("[[column]]\nclass = \"c{class}\"\ncolumn = \"{column}\"\ntable = \"{table}\"\n"));
        }
        let fits = |(wanted, of, _): &&(String, String, usize)| {
            Glob::new(wanted.clone()).matches(&column) && Glob::new(of.clone()).matches(&table)
        };
        let expected = rules.iter().filter(fits).map(|(_, _, class)| format!("c{class}")).min();
        let classes = good(&text);
        let found = classes.of_column(&target("t"), None, Some(&table), &column).map(|class| class.name().to_owned());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|\n|class|\"|=|column|mask|redact|[\\[\\]]{1,2}){0,60}") {
        let _ = checked(&text);
    }
}
