//! Secrets inside a text: assignments, headers, URLs, keys whose shape gives them away.
//!
//! Better a word too much hidden than a secret shown.

/// Shown in place of a secret.
pub(super) const MASK: &str = "***";

/// Names with one of these in them hold a secret; letters and digits of the name only, lower case.
const SECRET_WORDS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "signingkey",
    "sharedkey",
    "authkey",
    "bearer",
    "authorization",
    "accountkey",
];
/// Names that are one of these, or have one as a part between `-`, `_` and `.`.
const SECRET_PARTS: [&str; 9] = ["pass", "pwd", "pw", "passin", "passout", "jwt", "cookie", "auth", "sas"];
/// Last parts of names that speak about a secret without holding it.
const HARMLESS_ENDS: [&str; 20] = [
    "file", "files", "path", "dir", "name", "stdin", "fd", "env", "url", "uri", "endpoint", "type", "length", "limit",
    "count", "ttl", "method", "mode", "prompt", "plugin",
];
/// First parts of the same kind.
const HARMLESS_STARTS: [&str; 4] = ["no", "ask", "prompt", "max"];

/// Prefixes of well-known keys, with how many key characters must follow at least.
const KEYS: [(&str, usize); 27] = [
    ("AKIA", 12),
    ("ASIA", 12),
    ("AIza", 30),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("sk-", 20),
    ("sk_live_", 10),
    ("rk_live_", 10),
    ("hvs.", 16),
    ("npm_", 20),
    ("pypi-", 20),
    ("dckr_pat_", 16),
    ("SG.", 20),
    ("ya29.", 16),
    ("dop_v1_", 16),
    ("AGE-SECRET-KEY-", 16),
];

/// Whether a flag, variable or header of that name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    if !name.chars().all(is_name_char) {
        return false;
    }
    let lower = name.trim_matches('-').to_ascii_lowercase();
    let parts: Vec<&str> = lower.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    let harmless = |part: Option<&&str>, list: &[&str]| part.is_some_and(|part| list.contains(part));
    if parts.len() > 1 && (harmless(parts.last(), &HARMLESS_ENDS) || harmless(parts.first(), &HARMLESS_STARTS)) {
        return false;
    }
    let joined = parts.concat();
    SECRET_WORDS.iter().any(|word| joined.contains(word)) || parts.iter().any(|part| SECRET_PARTS.contains(part))
}

/// The text with the secrets in it masked.
pub(super) fn mask_within(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(first) = rest.chars().next() {
        let at_word = !before.is_some_and(is_name_char);
        let hit = if at_word { assignment(rest).or_else(|| key(rest)).or_else(|| web_token(rest)) } else { None };
        let hit = hit.or_else(|| url_login(rest)).or_else(|| private_key(rest));
        match hit {
            Some((kept, hidden)) => {
                out.push_str(rest.get(..kept).unwrap_or_default());
                out.push_str(MASK);
                rest = rest.get(kept + hidden..).unwrap_or_default();
                before = Some('*');
            }
            None => {
                out.push(first);
                before = Some(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

/// Bytes to keep and bytes to hide after them, at the beginning of a text.
type Hit = (usize, usize);

/// `NAME=value`, `"name": "value"`, `Name: value`.
fn assignment(text: &str) -> Option<Hit> {
    let name_len = text.find(|c| !is_name_char(c)).filter(|len| *len > 0)?;
    let (name, after) = text.split_at_checked(name_len)?;
    if !is_secret_name(name) {
        return None;
    }
    let quoted = after.trim_start_matches(['"', '\'', '\\']);
    let sign = quoted.trim_start();
    let (value, line) = match sign.strip_prefix('=') {
        Some(value) => (value, false),
        None => {
            let value = sign.strip_prefix(':')?;
            // Without quotes or a space behind it a colon is rather a part of an address.
            if quoted.len() == after.len() && !value.starts_with(char::is_whitespace) {
                return None;
            }
            (value.trim_start(), quoted.len() == after.len())
        }
    };
    let hidden = value_len(value, line);
    (hidden > 0).then_some((text.len() - value.len(), hidden))
}

/// How much of a text is the value it begins with: a quoted string, a header's line, or a word.
fn value_len(value: &str, line: bool) -> usize {
    let unescaped = value.trim_start_matches('\\');
    let skipped = value.len() - unescaped.len();
    if let Some(quote @ ('"' | '\'')) = unescaped.chars().next() {
        let mut escaped = false;
        for (at, c) in unescaped.char_indices().skip(1) {
            match c {
                // In `\"…\"` the closing quote is escaped as well.
                c if c == quote && (!escaped || skipped > 0) => return skipped + at + 1,
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        return value.len();
    }
    let ends = |c: char| {
        if line { matches!(c, '"' | '\'' | '\n' | '\r') } else { c.is_whitespace() || "&;,\"'`)}]|<>".contains(c) }
    };
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        if !escaped && ends(c) {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    value.len()
}

/// `://user:password@`: the password.
fn url_login(text: &str) -> Option<Hit> {
    const SIGN: &str = "://";
    let after = text.strip_prefix(SIGN)?;
    let authority_len = after.find(|c: char| c.is_whitespace() || "/?#\"'`<>".contains(c)).unwrap_or(after.len());
    let login_len = after.get(..authority_len)?.rfind('@')?;
    let colon = after.get(..login_len)?.find(':')?;
    let kept = SIGN.len() + colon + 1;
    let hidden = login_len - colon - 1;
    (hidden > 0).then_some((kept, hidden))
}

/// A key by its prefix, hidden whole.
fn key(text: &str) -> Option<Hit> {
    let is_key_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let (prefix, least) = KEYS.iter().find(|(prefix, _)| text.starts_with(prefix))?;
    let tail = text.get(prefix.len()..)?;
    let len = tail.find(|c| !is_key_char(c)).unwrap_or(tail.len());
    (len >= *least).then_some((0, prefix.len() + len))
}

/// A JSON web token: `eyJ…`, two dots and three base64url parts (RFC 7519); also with the signature missing.
fn web_token(text: &str) -> Option<Hit> {
    if !text.starts_with("eyJ") {
        return None;
    }
    let base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=' | '.');
    let len = text.find(|c| !base64url(c)).unwrap_or(text.len());
    text.get(..len)?.contains('.').then_some((0, len))
}

/// A private key in PEM: everything after its first line.
fn private_key(text: &str) -> Option<Hit> {
    let after = text.strip_prefix("-----BEGIN ")?;
    let title_len = after.find("-----")?;
    after.get(..title_len)?.contains("PRIVATE KEY").then_some(())?;
    let kept = text.len() - after.len() + title_len + "-----".len();
    Some((kept, text.len() - kept))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "password",
            "--password",
            "DB_PASSWORD",
            "PGPASSWORD",
            "MYSQL_PWD",
            "db-pass",
            "apiKey",
            "API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "x-vault-token",
            "client_secret",
            "Authorization",
            "secret_id",
            "passin",
            "cookie",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "host",
            "user",
            "bypass",
            "password-file",
            "--password-stdin",
            "token-url",
            "no-password",
            "author",
            "max-tokens",
            "compass",
            "keyfile",
            "path",
            "spawn",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_masked_where_they_stand() {
        for (text, expected) in [
            ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=*** psql -h db"),
            ("host=db password='a b' dbname=x", "host=db password=*** dbname=x"),
            ("host=db password=a\\ b dbname=x", "host=db password=*** dbname=x"),
            (r#"{"user":"ada","password": "a \" b","n":1}"#, r#"{"user":"ada","password": ***,"n":1}"#),
            (r#"{\"token\": \"abc\"}"#, r#"{\"token\": ***}"#),
            ("https://h/x?token=abc&y=1", "https://h/x?token=***&y=1"),
            ("postgres://ada:pw@db:5432/x", "postgres://ada:***@db:5432/x"),
            ("postgres://ada:p@w@db/x", "postgres://ada:***@db/x"),
            ("redis://:pw@db", "redis://:***@db"),
            ("https://h:443/@scope/pkg", "https://h:443/@scope/pkg"),
            ("Authorization: Bearer abc def", "Authorization: ***"),
            ("curl -H 'Authorization: Basic YTpi' https://h", "curl -H 'Authorization: ***' https://h"),
            ("X-Api-Key: k", "X-Api-Key: ***"),
            ("AKIAIOSFODNN7EXAMPLE", "***"),
            ("key=AKIAIOSFODNN7EXAMPLE,x", "key=***,x"),
            ("ghp_0123456789abcdefghij0123456789abcdef", "***"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n", "-----BEGIN RSA PRIVATE KEY-----***"),
            ("host:token:5", "host:token:5"),
            ("a=b c=d", "a=b c=d"),
            ("grüße=ö", "grüße=ö"),
        ] {
            assert_eq!(mask_within(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn masking_never_panics(text in ".{0,80}") {
            let _ = mask_within(&text);
        }

        #[test]
        fn near_misses_do_not_panic(text in "((password|token|é|://|eyJ|-----BEGIN )|[=:\"'\\\\ @/.]){0,16}") {
            let _ = mask_within(&text);
        }
    }
}
