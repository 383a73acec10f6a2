//! What the server's scanner does with a text's signs, at most, told without it.
//!
//! It reads the characters that operators are made of, and that comments begin with, as far as they go, and then gives back
//! what does not belong to the word at hand: `+` and `-` at the end of an operator, whatever follows `/*` or stands before
//! `--`. So a run of signs is read again for every word in it, and that grows with the square of its length. Quotes are not
//! looked for: what stands in them is counted as if it did not, and texts hold few long runs.
//! PostgreSQL: `scan.l`, `operator`, `xcstart`.

/// Most characters that are read again: 10 to 15 milliseconds for a text, which is scanned twice.
pub(super) const MOST: usize = 2 << 20;

/// What operators are made of (`op_chars`).
const fn is_sign(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// How many characters of runs of signs the scanner reads, at most. Linear in the text.
pub(super) fn work(sql: &str) -> usize {
    let runs = sql.as_bytes().split(|byte| !is_sign(*byte));
    runs.map(|run| run.len().saturating_mul(words(run))).fold(0, usize::saturating_add)
}

/// How many words may begin in a run: at its beginning, at a `+`, at a `-` or two (more are a comment, to the end of the
/// line), at a `/*`, and behind the comment which that begins.
fn words(run: &[u8]) -> usize {
    let mut words = 1_usize;
    let mut before = 0;
    for byte in run {
        words = words.saturating_add(match (before, byte) {
            (b'-', b'-') => 0,
            (_, b'+' | b'-') => 1,
            (b'/', b'*') => 2,
            _ => 0,
        });
        before = *byte;
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Unreadable, parse};
    use super::*;

    #[test]
    fn runs_that_are_read_again_and_again_are_refused_before_they_are_read() {
        for sql in [
            format!("{}{}", "/*".repeat(32_768), "*/".repeat(32_768)),
            "/*".repeat(32_768),
            "/**/".repeat(15_000),
            format!("select 1 {}", "+-".repeat(15_000)),
            format!("select {}1", "+".repeat(16_384)),
            "+++/**/".repeat(2000),
            // One word, however often it begins anew.
            format!("{}/**/", "<+".repeat(31)).repeat(2000),
            // Whatever a quote or a comment around it may be to the scanner.
            format!("select '{}'", "+".repeat(4000)),
            format!("select $$ -- '{}\n$$", "/*".repeat(4000)),
        ] {
            assert!(work(&sql) > MOST, "{} {sql:.20}", work(&sql));
            assert_eq!(parse(&sql).map(|_| ()), Err(Unreadable::Entangled), "{sql:.20}");
        }
    }

    #[test]
    fn what_people_write_is_read() {
        let ruler = |sign: &str| sign.repeat(120);
        for sql in [
            // Rulers, in comments and strings, by the thousand.
            format!("select 1 {}", format!("--{}\n", ruler("-")).repeat(5000)),
            format!("select 1 {}", format!("-- {}\n", ruler("=")).repeat(5000)),
            format!("select '{}'", format!("{}\n", ruler("=")).repeat(5000)),
            format!("select 1 {}", format!("/{}/\n", ruler("*")).repeat(5000)),
            format!("select '{}'", "+--------+--------+--------+\n| a      | b      | c      |\n".repeat(5000)),
            // Base64, and a comment behind every word.
            format!("select '{}'", "ab+/c//d+++e/+/+fgh0".repeat(40_000)),
            format!("select 1{}", "/* one */, /**/1/**/".repeat(4000)),
            format!("select 1 {}", "+ -1 - +1 ".repeat(100)),
            format!("select '[{}]'::jsonb @> '[1]' and a <-> b < 1", "{\"a\": -1},".repeat(40_000)),
        ] {
            assert!(work(&sql) < MOST, "{} {sql:.40}", work(&sql));
            assert!(parse(&sql).is_ok(), "{sql:.40}");
        }
    }

    proptest! {
        /// Each word that the scanner finds cost it the rest of the signs it begins with: no more than was counted.
        #[test]
        fn the_scanner_reads_no_more_than_is_counted(text in "[-+*/<=@~'\"$a1 \n]{1,300}|([-+*/<]{1,40}[ a'\n]?){1,20}") {
            let Ok(tokens) = pg_query::scan_tokens(&format!("a {text}")) else { return Ok(()) };
            let text = format!("a {text}");
            let rest = |start: usize| text.bytes().skip(start).take_while(|byte| is_sign(*byte)).count();
            let read: usize = tokens.iter().map(|token| rest(usize::try_from(token.start).unwrap_or(0))).sum();
            prop_assert!(read <= work(&text), "{read} > {}", work(&text));
        }

        /// The same for comments, which the scanner goes through sign by sign.
        #[test]
        fn comments_inside_comments_are_counted(text in "(/\\*|\\*/|-|\\+|\\*|/| ){1,200}") {
            let (mut read, mut depth, mut at) = (0, 0_usize, 0);
            while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
                let opens = rest.starts_with("/*");
                let closes = depth > 0 && rest.starts_with("*/");
                if opens {
                    read += rest.bytes().take_while(|byte| is_sign(*byte)).count();
                }
                depth = if opens { depth + 1 } else { depth.saturating_sub(usize::from(closes)) };
                at += if opens || closes { 2 } else { 1 };
            }
            prop_assert!(read <= work(&text), "{read} > {}", work(&text));
        }
    }
}
