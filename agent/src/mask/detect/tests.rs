//! What is found where: single cases, anything at all, and texts cut anywhere.

use proptest::prelude::*;

use super::*;
use crate::mask::corpus::{Dice, positives};

/// `detector:text` of everything found.
fn found(name: &str, text: &str) -> Vec<String> {
    let shown =
        |hit: Hit| format!("{}:{}", hit.detector.as_str(), String::from_utf8_lossy(&text.as_bytes()[hit.range]));
    detect(&Detectors::all(), name, text.as_bytes()).into_iter().map(shown).collect()
}

#[test]
fn what_stands_around_a_value_decides() {
    for (name, text, expected) in [
        ("", "4111111111111111", &["pan:4111111111111111"][..]),
        ("order_id", "4111111111111111", &[]),
        ("order_id", "visa 4111111111111111", &["pan:4111111111111111"]),
        ("order_id", "4111 1111 1111 1111", &["pan:4111 1111 1111 1111"]),
        ("", "4111-1111-1111-1111 12", &["pan:4111-1111-1111-1111"]),
        ("", "x4111111111111111", &[]),
        ("", "4111111111111111x", &[]),
        ("", "0.4111111111111111", &[]),
        ("", "378282246310005", &["pan:378282246310005"]),
        ("", "3782 822463 10005", &["pan:3782 822463 10005"]),
        ("", "123-45-6789", &[]),
        ("", "ssn 123-45-6789", &["us-ssn:123-45-6789"]),
        ("", "SSN:123456789", &["us-ssn:123456789"]),
        ("ssn", "123456789", &["us-ssn:123456789"]),
        ("", "lessons 123-45-6789", &[]),
        ("", "GB82 WEST 1234 5698 7654 32", &["iban:GB82 WEST 1234 5698 7654 32"]),
        ("", "GB82WEST12345698765432x", &[]),
        ("", "ada@example.org,bob@example.org", &["email:ada@example.org", "email:bob@example.org"]),
        ("", "write to ada@example.org.", &["email:ada@example.org"]),
        ("", "https://ada:p@ss:w@example.org/x", &["secret:p@ss:w"]),
        ("", "https://ada@example.org/x", &[]),
        ("", "password='a b c'", &["secret:a b c"]),
        ("", r#"{"password":"a\"b c"}"#, &[r#"secret:a\"b c"#]),
        ("", "PGPASSWORD=hunter2 psql", &["secret:hunter2"]),
        ("", "dbPass=hunter2", &["secret:hunter2"]),
        ("", "compass=north42", &[]),
        ("password", "hunter2", &["secret:hunter2"]),
        ("comment", "hunter2", &[]),
        ("", "10.0.0.5:5432", &["ipv4:10.0.0.5"]),
        ("", "v10.0.0.5", &[]),
        ("", "1.2.3.4.5", &[]),
        ("", "[2001:db8::1]:443", &["ipv6:2001:db8::1"]),
        ("", "6f9619ff-8b86-4011-b42d-00cf4fc964ff", &[]),
        ("", "", &[]),
    ] {
        assert_eq!(found(name, text), expected, "{name:?} {text:?}");
    }
}

/// A name inside a secret is a part of it, so that one after the other does not make one without an end.
#[test]
fn a_secret_has_a_greatest_length() {
    for unit in ["password=", "-----BEGIN PRIVATE KEY-----\n", "eyJhbGciOiJIUzI1NiJ9."] {
        let text = unit.repeat(100_000 / unit.len());
        let hits = detect(&Detectors::all(), "", text.as_bytes());
        let most = hits.iter().map(|hit| hit.range.len()).max();
        assert!(most.is_some_and(|most| most <= 32 * 1024), "{unit}: {most:?}");
    }
}

#[test]
fn only_what_was_asked_for_is_found() {
    let only: Detectors = [Detector::Email].into_iter().collect();
    let hits = detect(&only, "", b"ada@example.org 4111111111111111");
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].detector, Detector::Email);
}

#[test]
fn what_overlaps_is_protected_as_a_whole() {
    let text = "password=ada@example.org";
    assert_eq!(found("", text), ["secret:ada@example.org"]);
    let hit = |detector, range, confidence| Hit { detector, range, confidence };
    let hits = vec![
        hit(Detector::Phone, 3..9, Confidence::Likely),
        hit(Detector::Pan, 5..12, Confidence::Certain),
        hit(Detector::Email, 12..14, Confidence::Likely),
    ];
    let joined = [hit(Detector::Pan, 3..12, Confidence::Certain), hit(Detector::Email, 12..14, Confidence::Likely)];
    assert_eq!(apart(hits), joined);
}

/// Texts made of what the detectors look for, whole and broken.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        "[0-9]{1,20}",
        "[ .,:;/@+%()=\"'\\\\\n-]{1,3}",
        "(password|token|ssn|Bearer |Basic |eyJ|-----BEGIN |PRIVATE KEY|-----END |://|phone|AKIA|ghp_|xoxb-|%40|GB82)",
        "[a-zA-Z0-9_-]{1,24}",
        "\\PC{1,3}",
    ];
    let text = proptest::collection::vec(part, 0..30).prop_map(|parts| parts.concat().into_bytes());
    prop_oneof![4 => text, 1 => proptest::collection::vec(any::<u8>(), 0..300)]
}

fn streamed(text: &[u8], name: &str, cuts: impl Iterator<Item = usize>) -> (Vec<Hit>, usize) {
    let mut context = Context::of(name);
    context.secret = false;
    let mut stream = Stream::new(Detectors::all(), context);
    let (mut all, mut hits, mut most) = (Vec::new(), Vec::new(), 0);
    let mut sink = |piece: Piece<'_>| match piece {
        Piece::Clear(text) => all.extend_from_slice(text),
        Piece::Found { detector, confidence, value } => {
            hits.push(Hit { detector, range: all.len()..all.len() + value.len(), confidence });
            all.extend_from_slice(value);
        }
    };
    let mut at = 0;
    for cut in cuts {
        let next = (at + cut).min(text.len());
        stream.push(&text[at..next], &mut sink);
        most = most.max(stream.held());
        at = next;
    }
    stream.push(&text[at..], &mut sink);
    stream.finish(&mut sink);
    assert_eq!(all, text, "every byte goes on, once and in order");
    (hits, most)
}

#[test]
fn values_are_found_wherever_the_text_is_cut() {
    let mut dice = Dice(3);
    let all = Detectors::all();
    let samples = positives();
    for _ in 0..60 {
        let mut text = String::new();
        for _ in 0..40 {
            text.push_str(&samples[dice.below(samples.len())].text);
            text.push_str(dice.pick(&[
                "\n",
                " and then ",
                " lorem ipsum dolor sit amet, consectetur adipiscing elit\n",
            ]));
        }
        let whole = detect(&all, "", text.as_bytes());
        for step in [1, 7, 64, 1000] {
            let (hits, _) = streamed(text.as_bytes(), "", std::iter::repeat_n(step, text.len() / step));
            for (hit, wanted) in hits.iter().zip(&whole) {
                assert_eq!(hit, wanted, "{step} {:?}", &text[wanted.range.start.min(hit.range.start)..][..80]);
            }
            assert_eq!(hits.len(), whole.len());
        }
    }
}

#[test]
fn what_is_held_back_is_bounded() {
    for unit in ["a", "1 ", "@", "://", "password='", "-----BEGIN PRIVATE KEY-----", "eyJ", "4111 ", "+1 (", "::"] {
        let text = unit.repeat(200_000 / unit.len());
        let (_, most) = streamed(text.as_bytes(), "", std::iter::repeat_n(1000, 200));
        assert!(most <= HELD + HELD / 4 + 1000, "{unit:?} holds {most}");
    }
    let prose = "lorem ipsum dolor sit amet ".repeat(100);
    let (_, most) = streamed(prose.as_bytes(), "", std::iter::repeat_n(100, 27));
    assert!(most < 400, "prose flows, and {most} bytes wait");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn hits_are_in_order_and_apart(text in broken(), name in "(|ssn|phone|card|password|order_id|version)") {
        let hits = detect(&Detectors::all(), &name, &text);
        let mut at = 0;
        for hit in &hits {
            prop_assert!(hit.range.start >= at && hit.range.start < hit.range.end && hit.range.end <= text.len());
            at = hit.range.end;
        }
        if let Ok(text) = std::str::from_utf8(&text) {
            for hit in &hits {
                let whole = text.is_char_boundary(hit.range.start) && text.is_char_boundary(hit.range.end);
                prop_assert!(whole, "half a character in {:?}", hit);
            }
        }
    }

    #[test]
    fn a_stream_finds_the_same(text in broken(), cuts in proptest::collection::vec(1..40_usize, 0..40)) {
        let text = text.repeat(3);
        let whole = detect(&Detectors::all(), "", &text);
        prop_assert_eq!(streamed(&text, "", cuts.into_iter()).0, whole);
    }
}
