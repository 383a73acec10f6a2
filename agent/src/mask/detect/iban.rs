//! International bank account numbers (ISO 13616): a country's length, and 97 as the modulus of the whole.

use super::{Confidence, Detector, Scan};

/// Length of an account number by country, sorted: the registry of SWIFT.
const COUNTRIES: [(&[u8; 2], usize); 78] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"XK", 20),
];

/// An account number whose check digits begin at `digits`.
pub(super) fn scan(scan: &mut Scan<'_>, digits: usize) {
    let Some(start) = digits.checked_sub(2) else { return };
    let country = [scan.byte(start).to_ascii_uppercase(), scan.byte(start + 1).to_ascii_uppercase()];
    // Most runs of digits behind a letter are in the middle of something.
    if !country.iter().all(u8::is_ascii_uppercase) || scan.before(start).is_ascii_alphanumeric() {
        return;
    }
    let known = COUNTRIES.binary_search_by_key(&u16::from_be_bytes(country), |(known, _)| u16::from_be_bytes(**known));
    let Some((_, length)) = known.ok().and_then(|at| COUNTRIES.get(at)) else { return };
    let mut account = [0_u8; 34];
    let mut count = 0;
    let mut end = start;
    for into in account.iter_mut().take(*length) {
        // Printed in groups of four.
        if count > 0 && count % 4 == 0 && matches!(scan.byte(end), b' ' | b'-') {
            end += 1;
        }
        let byte = scan.byte(end);
        if !byte.is_ascii_alphanumeric() {
            return;
        }
        *into = byte.to_ascii_uppercase();
        count += 1;
        end += 1;
    }
    let ends = !scan.byte(end).is_ascii_alphanumeric() && scan.byte(end) != b'_';
    let account = account.get(..count).unwrap_or_default();
    if ends && scan.part(digits..digits + 2).iter().all(u8::is_ascii_digit) && is_checked(account) {
        scan.hit(Detector::Iban, start..end, Confidence::Certain);
    }
}

/// ISO 7064, MOD 97-10, with the first four characters moved to the end.
fn is_checked(account: &[u8]) -> bool {
    let Some((head, rest)) = account.split_at_checked(4) else { return false };
    // The remainder of 97 is written as 02 to 98.
    if head.ends_with(b"00") || head.ends_with(b"01") || head.ends_with(b"99") {
        return false;
    }
    let sum = rest.iter().chain(head).fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        _ => (sum * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97,
    });
    sum == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_sorted() {
        assert!(COUNTRIES.is_sorted());
    }

    #[test]
    fn the_check_digits_count() {
        for good in ["GB82WEST12345698765432", "DE89370400440532013000", "NO9386011117947"] {
            assert!(is_checked(good.as_bytes()), "{good}");
        }
        for bad in ["GB82WEST12345698765433", "DE88370400440532013000", "", "DE"] {
            assert!(!is_checked(bad.as_bytes()), "{bad}");
        }
    }
}
