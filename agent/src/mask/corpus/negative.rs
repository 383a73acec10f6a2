//! Values that look like protected ones, and are none.

use super::{Dice, Sample};

/// So many of each generated kind.
const EACH: usize = 200;

/// One name and text a line, apart by a tab.
const WRITTEN: &str = include_str!("negative.tsv");

/// Values in which nothing may be found.
pub(super) fn negatives() -> Vec<Sample> {
    let mut dice = Dice(2);
    let mut samples = Vec::new();
    let mut add = |name, text| samples.push(Sample { name, text, holds: None });
    for _ in 0..EACH {
        numbers(&mut dice, &mut add);
        texts(&mut dice, &mut add);
    }
    for line in WRITTEN.lines() {
        let (name, text) = line.split_once('\t').expect("a tab");
        add(name, text.replace("\\n", "\n"));
    }
    samples
}

fn numbers(dice: &mut Dice, add: &mut impl FnMut(&'static str, String)) {
    // What counts or numbers things.
    add("order_id", dice.pick(&["4", "51", "37"]).to_owned() + &dice.digits(14));
    add("trackingNumber", dice.digits(16));
    add("transaction_ref", "4".to_owned() + &dice.digits(15));
    add("user_id", dice.digits(9));
    add("tweet_id", "1".to_owned() + &dice.digits(18));
    add("imei", "35".to_owned() + &dice.digits(13));
    add("isbn", format!("978{}", dice.digits(10)));
    add("sku", format!("{}-{}-{}", dice.digits(4), dice.digits(4), dice.digits(4)));
    // Numbers nobody named: one in ten passes a check digit.
    add("", dice.digits(16));
    add("value", dice.digits(9));
    add("payload", format!("{{\"n\":{},\"m\":{}}}", dice.digits(9), dice.digits(10)));
    add("amount", format!("{}.{}", dice.digits(7), dice.digits(2)));
    add("ratio", format!("0.{}", dice.digits(16)));
    add("created_at", format!("17{}", dice.digits(11)));
    add("ts_ns", format!("17{}", dice.digits(17)));
    add(
        "when",
        format!(
            "2026-{:02}-{:02} {:02}:{:02}:00.{}+00",
            dice.between(1, 12),
            dice.between(1, 28),
            dice.between(0, 23),
            dice.between(0, 59),
            dice.digits(6)
        ),
    );
    add("range", format!("{}-{}", dice.digits(6), dice.digits(6)));
    add("position", format!("{}.{}, -{}.{}", dice.digits(2), dice.digits(6), dice.digits(2), dice.digits(6)));
    add("delta", format!("+{}", dice.digits(5)));
    add("log", format!("pid {} request {} in {}us", dice.digits(5), dice.digits(9), dice.digits(6)));
    add("invoice", format!("INV-2026-{}", dice.digits(6)));
    add("version", format!("{}.{}.{}.{}", dice.below(20), dice.below(20), dice.below(20), dice.below(2000)));
}

fn texts(dice: &mut Dice, add: &mut impl FnMut(&'static str, String)) {
    let uuid =
        |dice: &mut Dice| format!("{}-{}-4{}-a{}-{}", dice.hex(8), dice.hex(4), dice.hex(3), dice.hex(3), dice.hex(12));
    let digits_only =
        format!("{}-{}-{}-{}-{}", dice.digits(8), dice.digits(4), dice.digits(4), dice.digits(4), dice.digits(12));
    add("id", uuid(dice));
    add("", uuid(dice));
    add("", digits_only);
    add("sha256", dice.hex(64));
    add("", dice.hex(40));
    add("etag", format!("\"{}\"", dice.hex(32)));
    add("mac", (0..6).map(|_| dice.hex(2)).collect::<Vec<_>>().join(":"));
    add("blob", dice.alphanumeric(120));
    add("blob", format!("{}==", dice.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 86)));
    add("reference", format!("DE{}", dice.digits(20)));
    add("code", format!("GB{}XYZ", dice.digits(4)));
    add("package", format!("lodash@{}.{}.{}", dice.below(9), dice.below(30), dice.below(30)));
    add("image", format!("logo-{}@2x.png", dice.hex(4)));
    add("unit", format!("getty@tty{}.service", dice.below(9)));
    // Prefixes without what has to follow.
    add("example", format!("ghp_{}", dice.alphanumeric(36)));
    add("example", format!("AKIA{}", dice.digits(8)));
    add("example", format!("AIza{}", dice.alphanumeric(12)));
    add("example", format!("xoxb-{}", dice.digits(4)));
    add("example", format!("eyJ{}.{}.{}", dice.alphanumeric(20), dice.alphanumeric(30), dice.alphanumeric(30)));
    add("certificate", format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", dice.alphanumeric(64)));
    add("count", format!("password_attempts={}", dice.digits(4)));
    add("stats", format!("max_tokens={} token_count={}", dice.digits(4), dice.digits(4)));
}
