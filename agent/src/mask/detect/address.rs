//! The pass over `@` and `://`: mail addresses, and logins inside URLs.

use super::{Confidence, Detector, Scan};

/// Longest parts of an address (RFC 5321, 4.5.3.1).
const MOST_LOCAL: usize = 64;
const MOST_DOMAIN: usize = 255;
/// Longest part of a URL before the path.
const MOST_AUTHORITY: usize = 512;

/// Endings of file names and units that look like a domain's.
const NO_DOMAINS: [&str; 28] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "mjs", "ts", "tsx", "jsx", "html", "json", "yaml",
    "yml", "toml", "lock", "log", "txt", "service", "socket", "timer", "target", "mount", "slice", "scope",
];

/// Looks at every `@`, `%40` and `://`.
pub(super) fn scan(scan: &mut Scan<'_>) {
    let value = scan.value;
    let mut logins_end = Vec::new();
    for at in memchr::memmem::find_iter(value, b"://") {
        login(scan, at + 3, &mut logins_end);
    }
    for at in memchr::memchr2_iter(b'@', b'%', value) {
        if scan.byte(at) == b'@' {
            if logins_end.binary_search(&at).is_err() {
                mail(scan, at, at + 1);
            }
        } else if scan.part(at..at + 3) == b"%40" {
            mail(scan, at, at + 3);
        }
    }
}

/// `user:password@` at the beginning of a URL's authority: the password.
fn login(scan: &mut Scan<'_>, start: usize, logins_end: &mut Vec<usize>) {
    let length = scan.run(start, MOST_AUTHORITY, |byte| !byte.is_ascii_whitespace() && !b"/?#\"'`<>".contains(&byte));
    let authority = scan.part(start..start + length);
    let Some(end) = memchr::memrchr(b'@', authority) else { return };
    let ats: Vec<usize> = memchr::memchr_iter(b'@', authority).map(|at| start + at).collect();
    let colon = memchr::memchr(b':', authority).filter(|colon| *colon < end);
    // In order, as URLs come in order and their authorities do not overlap.
    logins_end.extend(ats);
    if let Some(colon) = colon {
        let range = start + colon + 1..start + end;
        let hidden = scan.part(range.clone()).iter().all(|byte| matches!(byte, b'*' | b'x'));
        if !hidden {
            scan.hit(Detector::Secret, range, Confidence::Certain);
        }
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-') || byte >= 0x80
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80
}

/// A mail address around the sign from `sign` to `behind`.
fn mail(scan: &mut Scan<'_>, sign: usize, behind: usize) {
    let mut start = sign - scan.run_back(sign, MOST_LOCAL, is_local);
    // Not from the middle of a character, nor from punctuation.
    start += scan.run(start, 4, |byte| matches!(byte, 0x80..=0xbf));
    start += scan.run(start, sign - start, |byte| matches!(byte, b'.' | b'-' | b'+'));
    let local = scan.part(start..sign);
    if local.is_empty() || local.ends_with(b".") || local == b"git" || scan.before(start) == b'@' {
        return;
    }
    let length = scan.run(behind, MOST_DOMAIN, is_domain);
    let domain = scan.part(behind..behind + length);
    let kept = domain.iter().rposition(|byte| !matches!(byte, b'.' | b'-')).map_or(0, |last| last + 1);
    let domain = domain.get(..kept).unwrap_or_default();
    if is_mail_domain(domain) {
        scan.hit(Detector::Email, start..behind + kept, Confidence::Certain);
    }
}

fn is_mail_domain(domain: &[u8]) -> bool {
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let top = labels.next().unwrap_or_default();
    let letters = top.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80) || top.starts_with(b"xn--");
    let file = NO_DOMAINS.iter().any(|end| top.eq_ignore_ascii_case(end.as_bytes()));
    let mut rest = 0;
    let mut numbers = true;
    for label in labels {
        if label.is_empty() || label.len() > 63 || label.starts_with(b"-") || label.ends_with(b"-") {
            return false;
        }
        numbers &= label.iter().all(u8::is_ascii_digit);
        rest += 1;
    }
    // `pkg@1.0.beta` is a version.
    letters && !file && (2..=24).contains(&top.len()) && rest > 0 && !numbers
}
