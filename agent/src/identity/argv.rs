//! The argument vector for the record: bounded, and without the secrets people put on command lines.

use super::habits::{CONTAINERS, HABITS, HARMLESS_P, SHELLS};
use super::secrets::{MASK, is_secret_name, mask_within};

/// Bytes of `/proc/PID/cmdline` looked at.
pub(super) const MAX_BYTES: usize = 16 << 10;
/// Arguments kept.
const MAX_ARGS: usize = 128;
/// Quotations within quotations that are looked into.
const MAX_DEPTH: u32 = 4;
/// Shown in place of what was left out.
const CUT: &str = "…";

/// The arguments as text, redacted; `cut` says that the process had more.
pub(super) fn argv(args: &[&[u8]], cut: bool) -> Vec<String> {
    let text = args.iter().take(MAX_ARGS).map(|arg| String::from_utf8_lossy(arg).into_owned());
    let mut shown = redact(text);
    if cut || args.len() > MAX_ARGS {
        shown.push(CUT.to_owned());
    }
    shown
}

/// The arguments with `***` in place of secrets: values of flags, variables and headers that are named like one,
/// passwords in URLs and `user:password` pairs, and keys of well-known shape.
#[must_use]
pub fn redact(args: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut line = Line::default();
    args.into_iter().map(|arg| line.argument(&arg)).collect()
}

/// What the arguments so far say about the next.
#[derive(Default)]
struct Line {
    program: String,
    next: Next,
    /// How many quotations deep this is.
    depth: u32,
}

#[derive(Clone, Copy, Default)]
enum Next {
    #[default]
    Plain,
    Secret,
    Login,
    /// A secret, unless it is a port.
    NotPort,
    /// A command line for a shell.
    Script,
}

impl Line {
    fn argument(&mut self, arg: &str) -> String {
        match std::mem::take(&mut self.next) {
            Next::Secret => return MASK.to_owned(),
            Next::NotPort if !is_port(arg) => return MASK.to_owned(),
            Next::Login => return login(arg).unwrap_or_else(|| mask_within(arg)),
            Next::Script => return self.inside(&mask_within(arg)),
            Next::NotPort | Next::Plain => {}
        }
        if let Some(shown) = self.flag(arg) {
            return shown;
        }
        if let Some(shown) = whole_assignment(arg) {
            return shown;
        }
        let masked = mask_within(arg);
        if arg.contains(char::is_whitespace) && self.depth < MAX_DEPTH {
            // A command line inside an argument, as for `sh -c`.
            return self.inside(&masked);
        }
        self.notice_program(arg);
        masked
    }

    /// Handles an argument that is a flag; `None` when it is none or says nothing.
    fn flag(&mut self, arg: &str) -> Option<String> {
        let name = arg.strip_prefix('-').filter(|name| !name.is_empty())?;
        let long = name.strip_prefix('-');
        if let Some((name, value)) = arg.split_once('=') {
            if is_secret_name(name) {
                return Some(format!("{name}={MASK}"));
            }
            return is_login_flag(name).then(|| login(value).map(|shown| format!("{name}={shown}")))?;
        }
        // The way of .NET: `-password:value`.
        if let Some((name, _)) = arg.split_once(':').filter(|(name, _)| is_secret_name(name)) {
            return Some(format!("{name}:{MASK}"));
        }
        // A long name with one dash is the way of Go and Java.
        if name.len() > 1 && is_secret_name(name) {
            self.next = Next::Secret;
            return Some(arg.to_owned());
        }
        if is_login_flag(arg) && !self.runs(CONTAINERS) {
            self.next = Next::Login;
            return Some(arg.to_owned());
        }
        if long.is_some() {
            return None;
        }
        self.short(arg)
    }

    fn short(&mut self, arg: &str) -> Option<String> {
        if let Some(shown) = arg.strip_prefix("-u").and_then(login).filter(|_| !self.runs(CONTAINERS)) {
            return Some(format!("-u{shown}"));
        }
        if let Some(header) = arg.strip_prefix("-H") {
            return Some(format!("-H{}", mask_within(header)));
        }
        if arg.ends_with('c') && self.runs(SHELLS) {
            self.next = Next::Script;
            return Some(arg.to_owned());
        }
        let habit = HABITS.iter().find(|h| arg.starts_with(h.flag) && self.runs(h.programs));
        if let Some(habit) = habit {
            let ports = self.runs(CONTAINERS);
            let value = arg.strip_prefix(habit.flag).unwrap_or_default();
            if !value.is_empty() {
                return (!ports || !is_port(value)).then(|| format!("{}{MASK}", habit.flag));
            }
            if habit.next {
                self.next = if ports { Next::NotPort } else { Next::Secret };
            }
            return Some(arg.to_owned());
        }
        let glued = arg.strip_prefix("-p").filter(|value| !value.is_empty())?;
        (!self.runs(HARMLESS_P) && !is_word_with_p(glued)).then(|| format!("-p{MASK}"))
    }

    /// A command line within this one.
    fn inside(&self, text: &str) -> String {
        Self { depth: self.depth + 1, ..Self::default() }.shell(text)
    }

    fn runs(&self, programs: &[&str]) -> bool {
        programs.contains(&self.program.as_str())
    }

    /// Remembers the last word that is a program we know the habits of: `sudo mysql …`.
    fn notice_program(&mut self, arg: &str) {
        let base = arg.rsplit('/').next().unwrap_or(arg);
        let known = |programs: &[&str]| programs.contains(&base);
        if HABITS.iter().any(|h| known(h.programs)) || known(HARMLESS_P) || known(SHELLS) {
            base.clone_into(&mut self.program);
        }
    }

    /// Handles each word of a command line, keeping what is between the words.
    fn shell(mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let blank = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
            out.push_str(rest.get(..blank).unwrap_or_default());
            rest = rest.get(blank..).unwrap_or_default();
            let (word, after) = rest.split_at_checked(word_len(rest)).unwrap_or((rest, ""));
            if !word.is_empty() {
                out.push_str(&self.word(word));
            }
            rest = after;
        }
        out
    }

    fn word(&mut self, word: &str) -> String {
        let bare = word.trim_matches(['"', '\'']);
        if !matches!(self.next, Next::Plain) {
            return word.replacen(bare, &self.argument(bare), 1);
        }
        if bare.contains(char::is_whitespace) && bare.len() < word.len() && self.depth < MAX_DEPTH {
            return word.replacen(bare, &self.inside(bare), 1);
        }
        match self.flag(bare) {
            Some(shown) => shown,
            None => {
                self.notice_program(bare);
                word.to_owned()
            }
        }
    }
}

/// `PGPASSWORD=…` as a whole argument: what follows is the value to its end, blanks included.
fn whole_assignment(arg: &str) -> Option<String> {
    let (name, value) = arg.split_once('=')?;
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    (is_name && !value.is_empty() && is_secret_name(name)).then(|| format!("{name}={MASK}"))
}

fn is_login_flag(flag: &str) -> bool {
    matches!(flag, "-u" | "--user" | "--proxy-user" | "-user" | "--login" | "--auth" | "--creds" | "--userpwd")
}

/// `user:password` with the password masked; `None` when it is no such pair. `1000:1000` is a uid and a gid.
fn login(value: &str) -> Option<String> {
    let (user, password) = value.split_once(':')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if password.is_empty() || password.starts_with("//") || (number(user) && number(password)) {
        return None;
    }
    Some(format!("{user}:{MASK}"))
}

/// `8080`, `127.0.0.1:80:80/tcp`: what is published, not a password.
fn is_port(value: &str) -> bool {
    let address = value.trim_end_matches("/tcp").trim_end_matches("/udp");
    !address.is_empty() && address.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b':' | b'-' | b'[' | b']'))
}

/// Well-known single-dash words that begin with `p`.
fn is_word_with_p(glued: &str) -> bool {
    matches!(
        glued,
        "rint" | "rint0" | "ath" | "erm" | "rune" | "thread" | "ipe" | "ort" | "id" | "roxy" | "refix" | "rofile"
    )
}

/// Length of the shell word a text begins with; quotes and backslashes hold blanks.
fn word_len(text: &str) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Arguments are separated by `|`.
    fn shown(line: &str) -> String {
        redact(line.split('|').map(str::to_owned)).join("|")
    }

    #[test]
    fn secrets_on_command_lines_are_masked() {
        for (line, expected) in [
            ("mysql|-uroot|-phunter2|-h|db", "mysql|-uroot|-p***|-h|db"),
            ("sudo|/usr/bin/mysql|-phunter2", "sudo|/usr/bin/mysql|-p***"),
            ("tool|-phunter2", "tool|-p***"),
            ("sshpass|-p|hunter2|ssh|-p|22|h", "sshpass|-p|***|ssh|-p|22|h"),
            ("sshpass|-phunter2|ssh|-p22|h", "sshpass|-p***|ssh|-p22|h"),
            ("mongosh|-u|ada|-p|hunter2", "mongosh|-u|ada|-p|***"),
            ("docker|login|-u|ada|-p|hunter2", "docker|login|-u|ada|-p|***"),
            (
                "docker|run|-p|127.0.0.1:80:80/tcp|-p8080:80|-u|root:root",
                "docker|run|-p|127.0.0.1:80:80/tcp|-p8080:80|-u|root:root",
            ),
            ("redis-cli|-a|hunter2|PING", "redis-cli|-a|***|PING"),
            ("ldapsearch|-D|cn=x|-w|hunter2", "ldapsearch|-D|cn=x|-w|***"),
            ("x|--password|hunter2|y", "x|--password|***|y"),
            ("x|--password=hunter 2|y", "x|--password=***|y"),
            (
                "x|--db-password=h|--api-key|k|--token=t|--client-secret|s",
                "x|--db-password=***|--api-key|***|--token=***|--client-secret|***",
            ),
            ("x|-password|hunter2", "x|-password|***"),
            ("x|-Password:hunter2|--token:t", "x|-Password:***|--token:***"),
            ("x|--password-file|/run/p|--password-stdin|z", "x|--password-file|/run/p|--password-stdin|z"),
            ("curl|-u|ada:hunter2|https://h", "curl|-u|ada:***|https://h"),
            ("curl|-uada:hunter2", "curl|-uada:***"),
            ("curl|--user=ada:hunter2", "curl|--user=ada:***"),
            ("x|-u|1000:1000", "x|-u|1000:1000"),
            ("x|-u|https://h:80/", "x|-u|https://h:80/"),
            ("env|PGPASSWORD=a b&c|psql", "env|PGPASSWORD=***|psql"),
            ("psql|postgres://ada:hunter2@db/x", "psql|postgres://ada:***@db/x"),
            ("psql|-p|5432|-p5432", "psql|-p|5432|-p5432"),
            ("curl|-H|Authorization: Bearer abc|h", "curl|-H|Authorization: ***|h"),
            ("curl|-HX-Api-Key: abc", "curl|-HX-Api-Key:***"),
            ("sh|-c|PGPASSWORD=x psql -h db && mysql -phunter2 x", "sh|-c|PGPASSWORD=*** psql -h db && mysql -p*** x"),
            ("sh|-c|tool --password 'a b' --host h", "sh|-c|tool --password '***' --host h"),
            (
                "sh|-c|curl -u ada:x h; bash -c \"tool --token t v\"",
                "sh|-c|curl -u ada:*** h; bash -c \"tool --token *** v\"",
            ),
            ("openssl|enc|-pass|pass:x|-k|y", "openssl|enc|-pass|***|-k|***"),
            ("find|.|-print", "find|.|-print"),
            ("gcc|-pthread|a.c", "gcc|-pthread|a.c"),
            ("x|-|--|-p", "x|-|--|-p"),
            ("AKIAIOSFODNN7EXAMPLE", "***"),
            ("x|--header=Authorization: Basic YTpi", "x|--header=Authorization: ***"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn the_vector_is_bounded_and_says_so() {
        let args = vec![&b"a"[..]; 200];
        let bounded = argv(&args, false);
        assert_eq!((bounded.len(), bounded.last().map(String::as_str)), (MAX_ARGS + 1, Some(CUT)));
        assert_eq!(argv(&[b"a"], true), ["a", CUT]);
        assert_eq!(argv(&[b"\xff"], false), ["\u{fffd}"]);
    }

    /// Every place a secret is known to be put, as arguments separated by `|`, `@S@` standing for it.
    const PLACES: [&str; 26] = [
        "mysql|-p@S@",
        "tool|-p@S@",
        "sshpass|-p|@S@",
        "x|--password|@S@",
        "x|--password=@S@",
        "x|--token|@S@",
        "x|--secret=@S@",
        "x|--api-key|@S@",
        "x|-password|@S@",
        "x|-u|ada:@S@",
        "x|-uada:@S@",
        "x|--user=ada:@S@",
        "PGPASSWORD=@S@",
        "x|MYSQL_PWD=@S@",
        "https://ada:@S@@h/p",
        "Authorization: Bearer @S@",
        "x|--header=Authorization: Basic @S@",
        "https://h/?api_key=@S@&x=1",
        "host=h password=@S@ dbname=d",
        "{\"password\": \"@S@\", \"n\": 1}",
        "sh|-c|PGPASSWORD=@S@ psql",
        "sh|-c|x --token @S@ y",
        "sh|-c|mysql -p'@S@' y",
        "sh|-c|curl -H 'X-Auth-Token: @S@' h",
        "docker|login|-p|@S@",
        "sh|-c|bash -c \"x --password @S@\"",
    ];

    proptest! {
        #[test]
        fn a_planted_secret_never_survives(
            place in 0..PLACES.len(), secret in "[A-Za-z][A-Za-z0-9!%^*+~_.-]{7,20}", before in "[a-z]{1,6}",
        ) {
            let line = PLACES[place].replace("@S@", &secret);
            let args = line.split('|').map(str::to_owned);
            let shown = redact(args.chain([before.clone()]));
            prop_assert!(!shown.join("|").contains(&secret), "{:?}", shown);
            // What comes after is not taken along.
            prop_assert_eq!(shown.last(), Some(&before));
        }

        #[test]
        fn what_is_no_secret_is_untouched(
            args in proptest::collection::vec("(--?[a-eg-oq-t]{1,9}(=[a-z0-9/.]{0,8})?|/?[a-z0-9]{1,8}(/[a-z0-9.]{1,8}){0,3}|[a-z]{1,8}:[0-9]{1,5}|[a-z]{1,5} [a-z]{1,5})", 0..8),
        ) {
            prop_assume!(!args.iter().any(|a| a == "-a" || a == "-k" || a.starts_with("-auth") || a.starts_with("--auth")));
            prop_assert_eq!(redact(args.clone()), args);
        }

        #[test]
        fn redaction_never_panics(args in proptest::collection::vec(".{0,24}", 0..6)) {
            prop_assert_eq!(redact(args.clone()).len(), args.len());
        }
    }
}
