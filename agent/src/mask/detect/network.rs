//! Addresses of IPv4 and IPv6, which are personal data where people have them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Confidence, Detector, Scan};

/// `10.0.0.5` may begin at `start`.
pub(super) fn ipv4(scan: &mut Scan<'_>, start: usize) {
    const MOST: usize = "255.255.255.255".len();
    if !scan.detectors.has(Detector::Ipv4) || scan.context.version {
        return;
    }
    let length = scan.run(start, MOST + 2, |byte| byte.is_ascii_digit() || byte == b'.');
    let sentence = usize::from(scan.before(start + length) == b'.');
    let end = start + length - sentence;
    let behind = scan.byte(end + sentence);
    if behind.is_ascii_alphabetic() || behind == b'_' || (behind == b'-' && scan.byte(end + 1).is_ascii_alphanumeric())
    {
        return;
    }
    let word = scan.part(start.saturating_sub(9)..start).to_ascii_lowercase();
    let version = [&b"version "[..], b"release ", b"version: ", b"version=", b"oid "].iter().any(|w| word.ends_with(w));
    // A leading zero is none of the parser's addresses.
    let parsed = std::str::from_utf8(scan.part(start..end)).ok().and_then(|text| text.parse::<Ipv4Addr>().ok());
    if parsed.is_some_and(|address| address.octets().iter().any(|octet| *octet > 0)) && !version {
        scan.hit(Detector::Ipv4, start..end, Confidence::Likely);
    }
}

/// Looks for addresses of IPv6, if they are wanted.
pub(super) fn scan(scan: &mut Scan<'_>) {
    const MOST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();
    if !scan.detectors.has(Detector::Ipv6) {
        return;
    }
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let mut done = 0;
    for colon in memchr::memchr_iter(b':', scan.value) {
        if colon < done {
            continue;
        }
        let start = colon - scan.run_back(colon, 5, |byte| byte.is_ascii_hexdigit());
        let length = scan.run(start, MOST + 2, is_part);
        let tail = scan.run_back(start + length, 2, |byte| byte == b'.');
        let end = start + length - tail;
        let text = std::str::from_utf8(scan.part(start..end)).unwrap_or_default();
        let groups = text.split(':').filter(|group| !group.is_empty()).count();
        let apart = !scan.before(start).is_ascii_alphanumeric() && !scan.byte(end).is_ascii_alphanumeric();
        let telling = groups >= 3 || (groups == 2 && text.bytes().any(|byte| byte.is_ascii_digit()));
        if apart && telling && text.parse::<Ipv6Addr>().is_ok() {
            scan.hit(Detector::Ipv6, start..end, Confidence::Likely);
        }
        done = end.max(colon + 1);
    }
}
