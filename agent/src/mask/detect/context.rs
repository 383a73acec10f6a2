//! What a name, or a word nearby, says about digits that could be many things.

use std::ops::Range;

use crate::identity::is_secret_name;

/// How far before a value a word may end, and how far behind it begin, to be about it.
const BEFORE: usize = 48;
const BEHIND: usize = 24;

/// What a word can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Card,
    Ssn,
    Phone,
}

/// Parts of names about a topic.
const CARD_PARTS: [&str; 12] =
    ["card", "cards", "cardno", "cc", "ccn", "ccnum", "pan", "debit", "visa", "amex", "mastercard", "creditcard"];
const SSN_PARTS: [&str; 4] = ["ssn", "ssns", "socsec", "sosec"];
const PHONE_PARTS: [&str; 11] =
    ["phone", "phones", "telephone", "tel", "mobile", "cell", "cellphone", "fax", "msisdn", "whatsapp", "telefon"];
/// Parts of names that hold numbers of a kind that nobody minds.
const NUMBER_PARTS: [&str; 36] = [
    "id",
    "ids",
    "uuid",
    "guid",
    "order",
    "invoice",
    "tracking",
    "trace",
    "span",
    "timestamp",
    "ts",
    "time",
    "epoch",
    "sku",
    "serial",
    "version",
    "ref",
    "reference",
    "transaction",
    "txn",
    "seq",
    "sequence",
    "counter",
    "count",
    "bytes",
    "size",
    "hash",
    "sha",
    "isbn",
    "ean",
    "gtin",
    "imei",
    "imsi",
    "build",
    "offset",
    "nonce",
];
/// Parts of names whose dotted numbers are no addresses.
const VERSION_PARTS: [&str; 7] = ["version", "ver", "release", "build", "firmware", "oid", "tag"];

/// What the name of a column or field says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    card: bool,
    ssn: bool,
    phone: bool,
    /// Its whole value is a secret.
    pub(super) secret: bool,
    /// Its numbers are of a harmless kind.
    pub(super) numbering: bool,
    pub(super) version: bool,
}

impl Context {
    /// Looks at a name, such as `customer.cardNumber`; an empty one says nothing.
    #[must_use]
    pub fn of(name: &str) -> Self {
        const LONGEST: usize = 256;
        if name.is_empty() || name.len() > LONGEST {
            return Self::default();
        }
        let parts = parts(name);
        let any = |list: &[&str]| parts.iter().any(|part| list.contains(&part.as_str()));
        let joined = parts.concat();
        Self {
            card: any(&CARD_PARTS) || ["creditcard", "cardnum", "ccnum"].iter().any(|word| joined.contains(word)),
            ssn: any(&SSN_PARTS) || joined.contains("socialsecurity"),
            phone: any(&PHONE_PARTS),
            secret: is_secret_name(name),
            numbering: any(&NUMBER_PARTS),
            version: any(&VERSION_PARTS),
        }
    }

    pub(super) fn names(self, topic: Topic) -> bool {
        match topic {
            Topic::Card => self.card,
            Topic::Ssn => self.ssn,
            Topic::Phone => self.phone,
        }
    }
}

/// `customer.cardNumber` is `customer`, `card` and `number`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (lower && c.is_uppercase()) {
            parts.push(String::new());
        }
        lower = c.is_lowercase();
        if c.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(c.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Where words about topics stand in a value, in order.
#[derive(Debug, Default)]
pub(super) struct Topics {
    card: Vec<usize>,
    ssn: Vec<usize>,
    phone: Vec<usize>,
}

impl Topics {
    /// A word about `topic` begins at `at`.
    pub(super) fn add(&mut self, topic: Topic, at: usize) {
        match topic {
            Topic::Card => self.card.push(at),
            Topic::Ssn => self.ssn.push(at),
            Topic::Phone => self.phone.push(at),
        }
    }

    fn places(&self, topic: Topic) -> &[usize] {
        match topic {
            Topic::Card => &self.card,
            Topic::Ssn => &self.ssn,
            Topic::Phone => &self.phone,
        }
    }

    pub(super) fn any(&self, topic: Topic) -> bool {
        !self.places(topic).is_empty()
    }

    pub(super) fn near(&self, topic: Topic, range: &Range<usize>) -> bool {
        let places = self.places(topic);
        let first = range.start.saturating_sub(BEFORE);
        let next = places.partition_point(|at| *at < first);
        places.get(next).is_some_and(|at| *at < range.end + BEHIND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(parts("customer.cardNumber_2"), ["customer", "card", "number", "2"]);
        let is = |name: &str, topic| Context::of(name).names(topic);
        for (name, topic) in [
            ("ssn", Topic::Ssn),
            ("user_ssn", Topic::Ssn),
            ("socialSecurityNumber", Topic::Ssn),
            ("credit_card", Topic::Card),
            ("ccNum", Topic::Card),
            ("mobilePhone", Topic::Phone),
        ] {
            assert!(is(name, topic), "{name}");
        }
        for (name, topic) in [("session", Topic::Ssn), ("discard", Topic::Card), ("hotel", Topic::Phone)] {
            assert!(!is(name, topic), "{name}");
        }
        assert!(Context::of("order_id").numbering && !Context::of("bidder").numbering);
        assert!(Context::of("db_password").secret && !Context::of("password_file").secret);
    }

    #[test]
    fn words_count_nearby() {
        let mut topics = Topics::default();
        topics.add(Topic::Ssn, 100);
        for (range, near) in [(148..157, true), (149..158, false), (60..77, true), (60..76, false)] {
            assert_eq!(topics.near(Topic::Ssn, &range), near, "{range:?}");
        }
        assert!(!topics.near(Topic::Card, &(100..116)));
    }
}
