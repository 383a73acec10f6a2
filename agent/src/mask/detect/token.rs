//! Keys that are known by how they are made: prefix, alphabet, length, checksum.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{Confidence, Detector, Ends, Scan};

/// A prefix, what it is the prefix of, and how the rest is checked.
pub(super) const KEYS: [(&str, Detector, Rest); 31] = [
    ("AKIA", Detector::AwsKey, Rest::Exactly(16, is_base32)),
    ("ASIA", Detector::AwsKey, Rest::Exactly(16, is_base32)),
    ("ABIA", Detector::AwsKey, Rest::Exactly(16, is_base32)),
    ("ACCA", Detector::AwsKey, Rest::Exactly(16, is_base32)),
    ("ghp_", Detector::GithubToken, Rest::Summed),
    ("gho_", Detector::GithubToken, Rest::Summed),
    ("ghu_", Detector::GithubToken, Rest::Summed),
    ("ghs_", Detector::GithubToken, Rest::Summed),
    ("ghr_", Detector::GithubToken, Rest::Summed),
    ("github_pat_", Detector::GithubToken, Rest::FineGrained),
    ("AIza", Detector::GcpKey, Rest::Exactly(35, is_base64url)),
    ("ya29.", Detector::GcpKey, Rest::AtLeast(40, is_base64url)),
    ("GOCSPX-", Detector::GcpKey, Rest::Exactly(28, is_base64url)),
    ("xoxb-", Detector::SlackToken, Rest::Slack),
    ("xoxp-", Detector::SlackToken, Rest::Slack),
    ("xoxa-", Detector::SlackToken, Rest::Slack),
    ("xoxr-", Detector::SlackToken, Rest::Slack),
    ("xoxs-", Detector::SlackToken, Rest::Slack),
    ("xoxe-", Detector::SlackToken, Rest::Slack),
    ("xapp-", Detector::SlackToken, Rest::Slack),
    ("hooks.slack.com/services/", Detector::SlackToken, Rest::AtLeast(30, is_path)),
    ("sk_live_", Detector::VendorToken, Rest::AtLeast(16, is_alphanumeric)),
    ("rk_live_", Detector::VendorToken, Rest::AtLeast(16, is_alphanumeric)),
    ("glpat-", Detector::VendorToken, Rest::AtLeast(20, is_base64url)),
    ("npm_", Detector::VendorToken, Rest::Summed),
    ("pypi-AgEIcHlwaS5vcmc", Detector::VendorToken, Rest::AtLeast(50, is_base64url)),
    ("dop_v1_", Detector::VendorToken, Rest::Exactly(64, is_alphanumeric)),
    ("hvs.", Detector::VendorToken, Rest::AtLeast(24, is_base64url)),
    ("sk-ant-", Detector::VendorToken, Rest::AtLeast(32, is_base64url)),
    ("sk-proj-", Detector::VendorToken, Rest::AtLeast(32, is_base64url)),
    ("AGE-SECRET-KEY-1", Detector::VendorToken, Rest::Exactly(58, is_alphanumeric)),
];

/// Longest key that is looked at.
const MOST_KEY: usize = 4096;

/// How the rest of a key is checked.
#[derive(Clone, Copy)]
pub(super) enum Rest {
    /// So many of an alphabet, and then something else.
    Exactly(usize, fn(u8) -> bool),
    /// So many of an alphabet, or more.
    AtLeast(usize, fn(u8) -> bool),
    /// 30 letters and digits and their CRC-32 in six more.
    Summed,
    /// 22 letters and digits, `_`, 59 more.
    FineGrained,
    /// Parts between dashes, at least one of nine or more digits or letters, 20 characters in all.
    Slack,
}

fn is_base32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7')
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'/'
}

/// A key with the prefix `KEYS[index]` may begin at `at`.
pub(super) fn key(scan: &mut Scan<'_>, at: usize, index: usize) {
    let Some((prefix, detector, rest)) = KEYS.get(index) else { return };
    let start = at + prefix.len();
    if scan.part(at..start) != prefix.as_bytes() || scan.before(at).is_ascii_alphanumeric() {
        return;
    }
    let length = match *rest {
        Rest::Exactly(wanted, is_in) => {
            let length = scan.run(start, wanted, is_in);
            let ends = !scan.byte(start + length).is_ascii_alphanumeric();
            (length == wanted && ends).then_some(length)
        }
        Rest::AtLeast(least, is_in) => Some(scan.run(start, MOST_KEY, is_in)).filter(|length| *length >= least),
        Rest::Summed => {
            let length = scan.run(start, 37, is_alphanumeric);
            (length == 36 && is_summed(scan.part(start..start + length))).then_some(length)
        }
        Rest::FineGrained => {
            let first = scan.run(start, 23, is_alphanumeric);
            let second = scan.run(start + 23, 60, is_alphanumeric);
            (first == 22 && scan.byte(start + 22) == b'_' && second == 59).then_some(82)
        }
        Rest::Slack => {
            let length = scan.run(start, 200, |byte| is_alphanumeric(byte) || byte == b'-');
            let mut parts = scan.part(start..start + length).split(|byte| *byte == b'-');
            (length >= 20 && parts.any(|part| part.len() >= 9)).then_some(length)
        }
    };
    if let Some(length) = length {
        scan.hit(*detector, at..start + length, Confidence::Certain);
    }
}

/// Whether six characters are the CRC-32 of the thirty before them, in base 62.
fn is_summed(key: &[u8]) -> bool {
    let Some((random, sum)) = key.split_at_checked(30) else { return false };
    let mut wanted = crc32(random);
    sum.iter().rev().all(|found| {
        let digit = (wanted % 62) as u8;
        wanted /= 62;
        *found
            == match digit {
                0..10 => b'0' + digit,
                10..36 => b'A' + digit - 10,
                _ => b'a' + digit - 36,
            }
    })
}

/// CRC-32 of ISO 3309, as in zlib; thirty bytes need no table.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// Longest header of a token that is decoded, and longest token that is taken at once.
const MOST_HEADER: usize = 1024;
const MOST_JWT: usize = 16 * 1024;

/// A JSON web token, signed, encrypted, or without its signature: its header decodes, and names an algorithm.
pub(super) fn jwt(scan: &mut Scan<'_>, at: usize) {
    if scan.part(at..at + 3) != b"eyJ" || is_base64url(scan.before(at)) || scan.before(at) == b'.' {
        return;
    }
    let header = scan.run(at, MOST_HEADER, is_base64url);
    let behind = at + header;
    if scan.byte(behind) != b'.' || !is_base64url(scan.byte(behind + 1)) {
        return;
    }
    let mut decoded = [0; MOST_HEADER];
    let decoded = Base64UrlUnpadded::decode(scan.part(at..behind), &mut decoded).unwrap_or_default();
    if memchr::memmem::find(decoded, b"\"alg\"").is_some() || memchr::memmem::find(decoded, b"\"enc\"").is_some() {
        let rest = scan.run(behind, MOST_JWT, |byte| is_base64url(byte) || byte == b'.');
        let dots = scan.run_back(behind + rest, rest, |byte| byte == b'.');
        scan.hit(Detector::Jwt, at..behind + rest - dots, Confidence::Certain);
    }
}

/// Longest private key.
pub(super) const MOST_PEM: usize = 32 * 1024;
const DASHES: &[u8] = b"-----";

/// A private key from its first line to its last, or as far as it is there.
pub(super) fn private_key(scan: &mut Scan<'_>, at: usize) {
    let Some(start) = at.checked_sub(DASHES.len()) else { return };
    if start < scan.ends.key || scan.part(start..at + 6) != b"-----BEGIN " {
        return;
    }
    let label = scan.run(at + 6, 64, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let body = at + 6 + label + DASHES.len();
    let is_key = scan.part(at + 6..at + 6 + label).windows(11).any(|part| part == b"PRIVATE KEY");
    if !is_key || scan.part(at + 6 + label..body) != DASHES {
        return;
    }
    let rest = scan.part(body..scan.value.len().min(start + MOST_PEM));
    let end = memchr::memmem::find(rest, b"-----END ").map_or(body + rest.len(), |end| {
        let label = body + end + 9;
        let length = scan.run(label, 64, |byte| byte != b'-');
        (label + length + DASHES.len()).min(scan.value.len())
    });
    scan.reaches(Ends { key: end, ..scan.ends });
    scan.hit(Detector::PrivateKey, start..end, Confidence::Certain);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_issuers() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        // An example that GitHub published and revoked.
        assert!(is_summed(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"));
        assert!(!is_summed(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18"));
        assert!(!is_summed(b""));
    }
}
