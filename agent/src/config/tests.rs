//! Tests of the whole room.

use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::raw::SECTIONS;
use super::*;

/// The configuration that is shipped.
const EXAMPLE: &str = include_str!("../../../systemd/sallyport.toml");

/// A host with two users.
struct Fake;

impl Host for Fake {
    fn uid(&self, name: &str) -> Option<u32> {
        match name {
            "root" => Some(0),
            "postgres" => Some(114),
            _ => None,
        }
    }

    fn users(&self) -> Vec<String> {
        vec!["root".into(), "postgres".into()]
    }

    fn name(&self) -> String {
        "bastion-1".into()
    }
}

fn parse(text: impl AsRef<[u8]>) -> Result<Config, ConfigErrors> {
    Config::parse(text.as_ref(), Path::new("x.toml"), &Fake)
}

/// Every mistake as `line:column message / help`.
fn mistakes(text: impl AsRef<[u8]>) -> Vec<String> {
    let Err(errors) = parse(text) else { return Vec::new() };
    let shown = |problem: &Problem| {
        let help = problem.help.as_ref().map(|help| format!(" / {help}")).unwrap_or_default();
        format!("{}:{} {}{help}", problem.line, problem.column, problem.message)
    };
    errors.problems().iter().map(shown).collect()
}

/// The example with its settings switched on.
fn example_switched_on() -> String {
    let setting = |line: &str| {
        line.starts_with("#[") || (line.starts_with('#') && !line.starts_with("# ") && line.contains(" = "))
    };
    EXAMPLE
        .lines()
        .map(|line| if setting(line) { line.trim_start_matches('#') } else { line })
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn nothing_is_a_configuration() {
    for text in ["", "\n", "# only a comment", "\u{feff}", "[scope]\n[proxy]\n[intercept]\n", EXAMPLE] {
        let config = parse(text).unwrap();
        assert!(config.scopes.is_empty());
        assert_eq!(config.intercept, Intercept::default());
        assert_eq!(config.proxy, Proxy::default());
        assert_eq!(config.identity.host.as_str(), "bastion-1");
        assert_eq!(config.audit.on_failure, OnFailure::Deny);
    }
}

#[test]
fn the_example_names_every_key_with_its_default() {
    let text = example_switched_on();
    let config = parse(&text).unwrap();
    assert_eq!(config.proxy, Proxy::default());
    assert_eq!(config.intercept.listen_port, None);
    assert_eq!(config.intercept.max_flows, MaxFlows::default());
    assert_eq!(config.intercept.bpffs, Intercept::default().bpffs);
    assert_eq!(config.identity.trust_domain, TrustDomain::default());
    let policy = Policy { required: true, mode: Some(Mode::Enforce), ..Policy::default() };
    assert_eq!(config.policy, policy);
    let mut approvals = config.approvals;
    assert!(approvals.group.take().is_some() && approvals.listen.take().is_some());
    assert!(approvals.webhook_secret.take().is_some() && approvals.slack_secret.take().is_some());
    assert!(approvals.link_base.take().is_some() && !std::mem::take(&mut approvals.webhooks).is_empty());
    assert!(!std::mem::take(&mut approvals.link_people).is_empty());
    assert!(!std::mem::take(&mut approvals.slack_people).is_empty());
    assert_eq!(approvals, Approvals::default());
    let mut audit = config.audit;
    // Left out, these mean none.
    assert!(audit.checkpoint_file.take().is_some() && audit.key_file.take().is_some());
    assert!(audit.payload_key.take().is_some() && audit.keep.take().is_some() && audit.keep_size.take().is_some());
    assert!(!std::mem::take(&mut audit.keep_tagged).is_empty());
    assert_eq!((audit, config.telemetry), (Audit::default(), Telemetry::default()));
    let scope = &config.scopes[0];
    let tags = scope.tags.clone();
    assert_eq!(*scope, Scope { tags, ..Scope::new(scope.name.clone(), scope.selectors.clone()) });
    for (section, keys) in SECTIONS {
        for key in *keys {
            let line = if section.is_empty() { format!("[{key}") } else { format!("{key} = ") };
            let tables = format!(".{key}]]");
            let says = |written: &str| written.starts_with(&line) || written.ends_with(&tables);
            assert!(text.lines().any(says), "[{section}] {key} is not in the example");
        }
    }
}

#[test]
fn scopes_are_read_in_order() {
    let config = parse(
        r#"
        [scope.z-first]
        slice = "jobs.slice"
        mode = "observe"
        fail = "open"
        udp = "allow"
        inbound = "allow"
        [scope.a-second]
        unit = ["nightly-*.service", "backup.service"]
        cgroup = "/agents/build/"
        user = ["postgres", 1000, "65534"]
        exe = "/usr/bin/psql"
        "#,
    )
    .unwrap();
    let [first, second] = &config.scopes[..] else { panic!("{:?}", config.scopes) };
    assert_eq!(first.name.as_str(), "z-first");
    assert_eq!(
        (first.mode, first.fail, first.udp, first.inbound),
        (Mode::Observe, Fail::Open, Udp::Allow, Inbound::Allow)
    );
    assert_eq!(first.selectors.slices, [Glob::new("jobs.slice")]);
    assert_eq!(second.selectors.units, [Glob::new("nightly-*.service"), Glob::new("backup.service")]);
    assert_eq!(second.selectors.cgroups, [Path::new("/agents/build")]);
    assert_eq!(second.selectors.users, [114, 1000, 65_534]);
    assert_eq!(second.selectors.exes, [Path::new("/usr/bin/psql")]);
}

#[test]
fn settings_are_read() {
    let config = parse(
        r#"
        intercept = { listen_port = 20_001, max_flows = 0x1000, resolvers = ["10.0.0.2", "[2001:db8::1]:5353"] }
        proxy.connect_timeout = "1m30s"
        proxy.drain_timeout = "0"
        proxy.busy_poll = false
        identity.trust_domain = "prod.example.org"
        audit.on_failure = "allow"
        telemetry.log = "json"
        telemetry.level = "trace"
        "#,
    )
    .unwrap();
    assert_eq!(config.intercept.listen_port.unwrap().get(), 20_001);
    assert_eq!(config.intercept.max_flows.value(), 4096);
    let servers = ["10.0.0.2:53", "[2001:db8::1]:5353"].map(|server| server.parse().unwrap());
    assert_eq!(config.intercept.resolvers.now(), servers);
    assert_eq!(config.proxy.connect_timeout, Duration::from_secs(90));
    assert_eq!(config.proxy.drain_timeout, Duration::ZERO);
    assert!(!config.proxy.busy_poll && parse("").unwrap().proxy.busy_poll);
    assert_eq!(config.identity.trust_domain.as_str(), "prod.example.org");
    assert_eq!(config.audit.on_failure, OnFailure::Allow);
    assert_eq!((config.telemetry.log, config.telemetry.level), (Log::Json, Level::Trace));
    assert_eq!(parse("intercept.resolvers = []").unwrap().intercept.resolvers, Resolvers::These(Vec::new()));
}

#[test]
fn all_mistakes_at_once() {
    let text =
        "[scope.jobs]\nunit = \"nginx\"\nmoed = \"enforce\"\nfail = \"opne\"\n[proxy]\nidle_timeout = 10\n[polcy]\n";
    assert_eq!(
        mistakes(text),
        [
            "2:8 unit \"nginx\" has no type / did you mean \"nginx.service\"?",
            "3:1 unknown key \"moed\" in [scope.NAME] / did you mean `mode`?",
            "4:8 `fail` must be \"closed\" or \"open\", not \"opne\" / did you mean \"open\"?",
            "6:16 `idle_timeout` must be a length of time in quotes, not an integer / write idle_timeout = \"10s\" for seconds",
            "7:2 unknown section or key \"polcy\" / did you mean `policy`?",
        ]
    );
}

#[test]
fn each_mistake_has_its_words() {
    for (text, expected) in [
        // Shape.
        ("scope = 1", "1:9 `scope` must be a table, not an integer / write [scope.NAME]"),
        ("[[scope]]", "1:1 `scope` must be a table, not an array / write [scope.NAME]"),
        ("scope.a = 1", "1:11 `scope.a` must be a table, not an integer / write [scope.NAME] and the keys below it"),
        ("proxy = true", "1:9 `proxy` must be a table, not a boolean / write [proxy]"),
        ("mode = 'observe'", "1:1 unknown section or key \"mode\" / it belongs in [scope.NAME]"),
        ("proxy.listen_port = 1", "1:7 unknown key \"listen_port\" in [proxy] / it belongs in [intercept]"),
        ("proxy.audit.on_failure = 'deny'", "1:7 unknown key \"audit\" in [proxy] / it is a section: [audit]"),
        ("telemtry.log = 'text'", "1:1 unknown section or key \"telemtry\" / did you mean `telemetry`?"),
        // Selectors.
        ("[scope.a]", "1:8 scope \"a\" selects nothing / add slice, unit, cgroup, user or exe"),
        ("[scope.a]\nunit = []", "2:8 `unit` is an empty list / name something or drop the key"),
        ("[scope.a]\nunit = [1]", "2:9 `unit` must be a string or a list of strings, not an integer"),
        ("[scope.a]\nunit = ''", "2:8 `unit` is empty"),
        ("[scope.a]\nunit = 'a.slice'", "2:8 \"a.slice\" is a slice / write slice = \"a.slice\""),
        ("[scope.a]\nslice = 'jobs'", "2:9 slice \"jobs\" lacks its ending / did you mean \"jobs.slice\"?"),
        ("[scope.a]\nslice = 'a.service'", "2:9 \"a.service\" is not a slice / write unit = \"a.service\""),
        ("[scope.a]\nunit = '/a'", "2:8 \"/a\" is a path, not a unit's name / for a path write cgroup = \"/a\""),
        (
            "[scope.a]\nunit = '[ab].service'",
            "2:8 \"[ab].service\" has '[' in it, and no unit's name has / `*` stands for anything, `?` for one character",
        ),
        ("[scope.a]\ncgroup = 'a/b'", "2:10 cgroup \"a/b\" is not absolute / did you mean \"/a/b\"?"),
        ("[scope.a]\ncgroup = '/a/../b'", "2:10 cgroup \"/a/../b\" has `.`, `..` or `//` in it / write the plain path"),
        (
            "[scope.a]\ncgroup = '/sys/fs/cgroup/a'",
            "2:10 cgroup \"/sys/fs/cgroup/a\" is not given from the root of the hierarchy / write \"/a\"",
        ),
        (
            "[scope.a]\ncgroup = '/'",
            "2:10 the root cgroup is the whole host, this daemon included / name the cgroups, slices or users to manage",
        ),
        ("[scope.a]\nuser = 'postgers'", "2:8 there is no user \"postgers\" on this host / did you mean \"postgres\"?"),
        ("[scope.a]\nuser = 'nobody-at-all'", "2:8 there is no user \"nobody-at-all\" on this host"),
        ("[scope.a]\nuser = -1", "2:8 -1 is not a user number / 0 to 4294967294"),
        ("[scope.a]\nuser = 4294967295", "2:8 4294967295 is not a user number / 0 to 4294967294"),
        ("[scope.a]\nexe = 'psql'", "2:7 exe \"psql\" is not absolute / did you mean \"/psql\"?"),
        ("[scope.a]\nexe = '/usr/bin/'", "2:7 exe \"/usr/bin/\" is a directory / name the file"),
        (
            "[scope.a]\nuser = 0\n[scope.b]\nuser = 'root'",
            "4:8 user \"0\" is already in [scope.a] / a process belongs to one scope",
        ),
        ("[scope.a]\nexe = ['/a', '/a']", "2:14 exe \"/a\" is listed twice / a process belongs to one scope"),
        ("[scope.A]\nuser = 0", "1:8 \"A\" cannot be a scope's name / 1 to 64 of a-z, 0-9 and `-`"),
        ("[scope.a]\nuser = 0\nmode = true", "3:8 `mode` must be a string, not a boolean / write mode = \"true\""),
        // Numbers and times.
        ("intercept.listen_port = 70000", "1:25 `listen_port` must be from 0 to 65535"),
        (
            "intercept.listen_port = '80'",
            "1:25 `listen_port` must be a whole number, not a string / write listen_port = 80",
        ),
        ("intercept.max_flows = 5", "1:23 `max_flows` must be from 1024 to 4194304"),
        ("intercept.max_flows = -9223372036854775808", "1:23 `max_flows` must be from 1024 to 4194304"),
        ("proxy.max_connections = 99999999999999999999", "1:25 `max_connections` must be from 1 to 200000"),
        (
            "proxy.idle_timeout = '2'",
            "1:22 `idle_timeout` is not a length of time: 2 of what? a number needs a unit: ms, s, m, h, d or w / write it like \"10s\", \"5m\" or \"1h30m\"",
        ),
        ("proxy.idle_timeout = '0'", "1:22 `idle_timeout` must be from 1s to 4w2d"),
        // Words.
        ("intercept.bpffs = 'sys/fs/bpf'", "1:19 `bpffs` must be an absolute path / did you mean \"/sys/fs/bpf\"?"),
        (
            "intercept.resolvers = ['dns.example.org']",
            "1:24 \"dns.example.org\" is not a resolver's address / write \"10.0.0.2\", \"10.0.0.2:5353\" or \"[2001:db8::1]:53\"",
        ),
        (
            "identity.trust_domain = 'spiffe://prod/'",
            "1:25 \"spiffe://prod/\" is not a SPIFFE trust domain / write it without the scheme: \"prod\"",
        ),
        (
            "identity.host = 'a/b'",
            "1:17 \"a/b\" cannot be part of a SPIFFE ID / 1 to 253 of letters, digits, `.`, `-` and `_`",
        ),
        (
            "telemetry.log = 'syslog'",
            "1:17 `log` must be \"auto\" or \"journald\" or \"text\" or \"json\", not \"syslog\"",
        ),
        ("telemetry.log = \"te\\u001bxt\"", "1:17 `log` has a control character in it"),
    ] {
        assert_eq!(mistakes(text), [expected], "{text}");
    }
}

#[test]
fn approvals_need_their_secrets_and_addresses() {
    for (text, expected) in [
        (
            "approve.webhook = 'http://chat.example.org/x'\napprove.webhook_secret = '/s'",
            "1:19 this is not a URL to send to / write \"https://HOST/PATH\"; \"http://\" only to a loopback address",
        ),
        ("approve.webhook = 'https://chat.example.org/x'", "1:19 `webhook` needs `webhook_secret`"),
        ("approve.link_base = 'https://x.example.org'", "1:21 `link_base` needs `listen`, where links come in"),
        (
            "approve.listen = 'localhost:1'",
            "1:18 \"localhost:1\" is not an address to listen at / write it like \"127.0.0.1:7480\"",
        ),
        (
            "approve.slack_people = ['ada']\napprove.slack_secret = '/s'\napprove.listen = '[::1]:1'",
            "1:25 \"ada\" says of no user id whose it is / write it like \"U024BE7LH=ada\"",
        ),
    ] {
        assert_eq!(mistakes(text), [expected], "{text}");
    }
}

#[test]
fn broken_syntax_is_placed() {
    for (text, line, column) in [
        ("[scope.a\nuser = 0", 1, 9),
        ("a = ", 1, 5),
        ("[scope.a]\nuser = 0\n[scope.a]\nuser = 1", 3, 8),
        ("[proxy]\nidle_timeout = \"1h\"\nidle_timeout = \"2h\"", 3, 1),
        ("x = \"é\n", 1, 7),
        ("é = 1", 1, 1),
    ] {
        let errors = parse(text).unwrap_err();
        let first = &errors.problems()[0];
        assert_eq!((first.line, first.column), (line, column), "{text:?}: {errors}");
    }
}

#[test]
fn not_text() {
    assert_eq!(mistakes(b"[proxy]\nx = \"\xff\"\n"), ["2:6 this byte is not UTF-8 text / save the file as UTF-8"]);
    assert_eq!(mistakes(b"\xff"), ["1:1 this byte is not UTF-8 text / save the file as UTF-8"]);
}

#[test]
fn the_place_is_pointed_at() {
    let errors = parse("[scope.jobs]\nuser = 0\n\tmode = \"enfroce\" # é\n").unwrap_err();
    let expected = "\
x.toml:3:9: `mode` must be \"enforce\" or \"observe\", not \"enfroce\"
   |
 3 |  mode = \"enfroce\" # é
   |         ^^^^^^^^^
   = did you mean \"enforce\"?";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn long_lines_are_cut_and_terminals_spared() {
    let text = format!("telemetry = {{ {} log = \"x\\u0007\u{85}\u{202e}\" }}", " ".repeat(5000));
    let shown = parse(text).unwrap_err().to_string();
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    assert!(!shown.chars().any(|c| steers(c) && c != '\n'));
}

#[test]
fn a_thousand_mistakes_are_counted() {
    let text: String = (0..1000).map(|number| format!("key-{number} = 1\n")).collect();
    let errors = parse(text).unwrap_err();
    assert_eq!(errors.problems().len(), 50);
    assert!(errors.to_string().ends_with("x.toml: and 950 more"));
}

#[test]
fn no_more_scopes_than_the_kernel_has_room_for() {
    let scopes = |count: u32| -> String { (0..count).map(|n| format!("[scope.s{n}]\nuser = {n}\n")).collect() };
    assert_eq!(parse(scopes(255)).unwrap().scopes.len(), 255);
    assert_eq!(
        mistakes(scopes(256)),
        ["511:8 256 scopes; 255 is the most / one scope may list many units, users or cgroups"]
    );
}

#[test]
fn hostile_files_are_read_quickly() {
    let megabyte = 1 << 20;
    for text in
        ["[".repeat(megabyte), "a.".repeat(megabyte / 2), "a={".repeat(megabyte / 3), "a=[".repeat(megabyte / 3)]
    {
        assert!(parse(text).is_err());
    }
}

#[test]
fn files_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sallyport.toml");
    assert!(Config::load(&path, false).is_ok(), "the defaults");
    let message = |path: &Path| Config::load(path, true).unwrap_err().to_string();
    assert!(message(&path).contains("No such file"), "{}", message(&path));
    assert!(message(dir.path()).contains("it is a directory"));
    assert!(message(Path::new("/dev/zero")).contains("not a regular file"));
    File::create(&path).unwrap().set_len(100 << 20).unwrap();
    assert!(message(&path).contains("larger than 1 MiB"));
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("sallyport.toml", &path).unwrap();
    assert!(Config::load(&path, false).is_err(), "a loop of links is not an absent file");
}

/// Every mistake lies inside the file, and says something.
fn places_are_inside(bytes: &[u8]) {
    let Err(errors) = parse(bytes) else { return };
    assert!(!errors.problems().is_empty());
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in errors.problems() {
        assert!((1..=lines.len()).contains(&problem.line), "{problem:?}");
        let length = lines[problem.line - 1].chars().count();
        assert!((1..=length + 1).contains(&problem.column), "{problem:?} of {length}");
        assert!(!problem.message.is_empty());
    }
    let _ = errors.to_string();
}

/// Pieces that a configuration is made of, right and wrong.
fn pieces() -> impl Strategy<Value = String> {
    let known = SECTIONS.iter().flat_map(|(_, keys)| keys.iter().copied());
    let other = [
        "[",
        "]",
        "[[",
        "]]",
        "=",
        ".",
        ",",
        "{",
        "}",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\\",
        "0",
        "-1",
        "9999999999999999999999",
        "1.5",
        "true",
        "\"10s\"",
        "\"enforce\"",
        "\"*.service\"",
        "\"/a\"",
        "\"postgres\"",
        "[scope.a]\n",
        "[scope.b]\n",
        "é",
        "\u{feff}",
        "1979-05-27",
    ];
    let all: Vec<String> = known.chain(other).map(str::to_owned).collect();
    prop::collection::vec(prop::sample::select(all), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        places_are_inside(&bytes);
    }

    #[test]
    fn any_pieces_are_judged(text in pieces()) {
        places_are_inside(text.as_bytes());
    }

    /// One slip anywhere in a good file: a range of it replaced by something else.
    #[test]
    fn any_slip_is_judged(at in any::<prop::sample::Index>(), length in 0..12usize, other in prop::collection::vec(any::<u8>(), 0..6)) {
        let mut text = example_switched_on().into_bytes();
        let start = at.index(text.len());
        let end = text.len().min(start + length);
        text.splice(start..end, other);
        places_are_inside(&text);
    }
}
