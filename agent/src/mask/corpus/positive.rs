//! Values of every kind, in the places where they are met.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

use super::{Dice, Sample};
use crate::mask::detect::Detector;

/// So many of each kind.
const EACH: usize = 300;

type Place = (&'static str, &'static str, &'static str);

/// Values of every kind, each with where it is.
pub(in crate::mask) fn positives() -> Vec<Sample> {
    let mut dice = Dice(1);
    let mut samples = Vec::new();
    for detector in Detector::ALL {
        for _ in 0..EACH {
            let (place, value) = one(detector, &mut dice);
            let (name, before, behind) = place;
            let text = format!("{before}{value}{behind}");
            samples.push(Sample { name, text, holds: Some((detector, before.len()..before.len() + value.len())) });
        }
    }
    samples
}

const ANYWHERE: [Place; 5] = [
    ("", "", ""),
    ("notes", "please look at ", ", thanks"),
    ("body", "{\"value\":\"", "\",\"n\":1}"),
    ("line", "2026-01-31T12:00:00Z INFO value=", " took=12ms"),
    ("csv", "1,ada,", ",2026-01-31\n"),
];

/// One in so many is where nothing says what it is: what is missed by design counts as missed.
const BARE: usize = 25;

fn one(detector: Detector, dice: &mut Dice) -> (Place, String) {
    let (place, value) = usual(detector, dice);
    if dice.below(BARE) > 0 {
        return (place, value);
    }
    match detector {
        Detector::Pan => (("order_id", "", ""), value.replace([' ', '-'], "")),
        Detector::UsSsn => (dice.pick(&ANYWHERE), value),
        Detector::Phone => (dice.pick(&ANYWHERE), value.trim_start_matches('+').to_owned()),
        Detector::Secret if dice.below(2) == 0 => (("command", "mysql --password ", " -e 'select 1'"), value),
        Detector::Secret => (("yaml", "password: ", "\n"), dice.of("abcdefghijkl", 9)),
        Detector::Iban
        | Detector::Email
        | Detector::Jwt
        | Detector::PrivateKey
        | Detector::AwsKey
        | Detector::GithubToken
        | Detector::GcpKey
        | Detector::SlackToken
        | Detector::VendorToken
        | Detector::Ipv4
        | Detector::Ipv6 => (place, value),
    }
}

fn usual(detector: Detector, dice: &mut Dice) -> (Place, String) {
    match detector {
        Detector::Pan => card(dice),
        Detector::Iban => (dice.pick(&ANYWHERE), iban(dice)),
        Detector::Email => mail(dice),
        Detector::UsSsn => social_security(dice),
        Detector::Phone => phone(dice),
        Detector::Jwt => (dice.pick(&ANYWHERE), jwt(dice)),
        Detector::PrivateKey => (dice.pick(&ANYWHERE), private_key(dice)),
        Detector::AwsKey => {
            let prefix = dice.pick(&["AKIA", "ASIA"]);
            (dice.pick(&ANYWHERE), prefix.to_owned() + &dice.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16))
        }
        Detector::GithubToken => (dice.pick(&ANYWHERE), github(dice)),
        Detector::GcpKey => {
            let (prefix, length) = dice.pick(&[("AIza", 35), ("ya29.", 120), ("GOCSPX-", 28)]);
            (dice.pick(&ANYWHERE), prefix.to_owned() + &dice.alphanumeric(length))
        }
        Detector::SlackToken => (dice.pick(&ANYWHERE), slack(dice)),
        Detector::VendorToken => {
            let (prefix, length) = dice.pick(&[("sk_live_", 24), ("glpat-", 20), ("hvs.", 90), ("dop_v1_", 64)]);
            (dice.pick(&ANYWHERE), prefix.to_owned() + &dice.alphanumeric(length))
        }
        Detector::Secret => secret(dice),
        Detector::Ipv4 => {
            let octets: Vec<String> = (0..4).map(|_| dice.between(1, 255).to_string()).collect();
            (dice.pick(&ANYWHERE), octets.join("."))
        }
        Detector::Ipv6 => {
            let mut groups: Vec<String> = (0..8).map(|_| format!("{:x}", dice.between(0x1000, 0xffff))).collect();
            if dice.below(2) == 0 {
                groups.splice(2..6, [String::new()]);
            }
            (dice.pick(&ANYWHERE), groups.join(":"))
        }
    }
}

fn card(dice: &mut Dice) -> (Place, String) {
    let (prefix, length) = dice.pick(&[
        ("4", 16),
        ("4", 16),
        ("51", 16),
        ("55", 16),
        ("2221", 16),
        ("34", 15),
        ("37", 15),
        ("6011", 16),
        ("65", 16),
        ("36", 14),
        ("3530", 16),
        ("62", 16),
    ]);
    let mut digits = prefix.to_owned() + &dice.digits(length - prefix.len() - 1);
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    digits.push_str(&((10 - sum % 10) % 10).to_string());
    let groups: &[usize] = match length {
        16 => &[4, 4, 4, 4],
        15 => &[4, 6, 5],
        _ => &[4, 6, 4],
    };
    let sign = dice.pick(&["", "", " ", "-"]);
    let mut at = 0;
    let parts: Vec<&str> = groups
        .iter()
        .map(|length| {
            at += length;
            &digits[at - length..at]
        })
        .collect();
    let places = [
        ("card_number", "", ""),
        ("notes", "paid with card ", " today"),
        ("body", "{\"pan\":\"", "\",\"cvv\":\"123\"}"),
        ("order_id", "visa ", ""),
    ];
    let place = if dice.below(2) == 0 { dice.pick(&places) } else { dice.pick(&ANYWHERE) };
    (place, parts.join(sign))
}

fn iban(dice: &mut Dice) -> String {
    let (country, bank, digits) =
        dice.pick(&[("DE", 0, 18), ("GB", 4, 14), ("NL", 4, 10), ("NO", 0, 11), ("ES", 0, 20), ("PL", 0, 24)]);
    let account = dice.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ", bank) + &dice.digits(digits);
    let sum = (account.clone() + country + "00").chars().fold(0, |sum, c| {
        let digit = c.to_digit(36).unwrap();
        (sum * if digit < 10 { 10 } else { 100 } + digit) % 97
    });
    let plain = format!("{country}{:02}{account}", 98 - sum);
    match dice.below(3) {
        0 => plain.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect::<Vec<_>>().join(" "),
        1 => plain.to_lowercase(),
        _ => plain,
    }
}

fn mail(dice: &mut Dice) -> (Place, String) {
    let local = match dice.below(4) {
        0 => dice.of("abcdefghijklmnopqrstuvwxyz", 6),
        1 => format!("{}.{}", dice.of("adelnor", 4), dice.of("adelnor", 7)),
        2 => format!("{}+tag{}", dice.of("adelnor", 4), dice.digits(2)),
        _ => format!("m\u{fc}ller{}", dice.digits(3)),
    };
    let domain = dice.pick(&["example.org", "mail.example.co.uk", "b\u{fc}cher.example", "x-y.example.museum", "a.io"]);
    let places = [
        ("email", "", ""),
        ("query", "/search?email=", "&page=2"),
        ("header", "From: Ada <", ">"),
        ("sql", "where mail = '", "' limit 1"),
        ("error", "Key (email)=(", ") already exists"),
    ];
    let place = if dice.below(2) == 0 { dice.pick(&places) } else { dice.pick(&ANYWHERE) };
    let sign = if dice.below(8) == 0 { "%40" } else { "@" };
    (place, format!("{local}{sign}{domain}"))
}

fn social_security(dice: &mut Dice) -> (Place, String) {
    let area = loop {
        let area = dice.between(1, 899);
        if area != 666 {
            break area;
        }
    };
    let sign = dice.pick(&["-", "-", " ", ""]);
    let value = format!("{area:03}{sign}{:02}{sign}{:04}", dice.between(1, 99), dice.between(1, 9999));
    let places = [
        ("ssn", "", ""),
        ("employee_ssn", "", ""),
        ("socialSecurityNumber", "", ""),
        ("notes", "SSN: ", " (verified)"),
        ("body", "{\"ssn\":\"", "\"}"),
        ("notes", "his social security number is ", "."),
        ("notes", "", " is the SSN"),
    ];
    (dice.pick(&places), value)
}

fn phone(dice: &mut Dice) -> (Place, String) {
    let area = dice.between(201, 999);
    let exchange = dice.between(201, 999);
    let line = dice.digits(4);
    if dice.below(2) == 0 {
        let value = match dice.below(5) {
            0 => format!("+1{area}{exchange}{line}"),
            1 => format!("+1 ({area}) {exchange}-{line}"),
            2 => format!("+49 30 {}", dice.digits(6)),
            3 => format!("+44 20 {} {}", dice.digits(4), dice.digits(4)),
            _ => format!("+33{}", dice.digits(9)),
        };
        return (dice.pick(&ANYWHERE), value);
    }
    let value = match dice.below(4) {
        0 => format!("({area}) {exchange}-{line}"),
        1 => format!("{area}-{exchange}-{line}"),
        2 => format!("0{}", dice.digits(10)),
        _ => format!("{area}.{exchange}.{line}"),
    };
    let places = [
        ("phone", "", ""),
        ("mobileNumber", "", ""),
        ("notes", "Tel: ", " after six"),
        ("body", "{\"phone\":\"", "\"}"),
        ("notes", "call me at ", " tomorrow"),
    ];
    (dice.pick(&places), value)
}

fn jwt(dice: &mut Dice) -> String {
    let header = dice.pick(&[
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\",\"alg\":\"RS256\"}",
        "{\"kid\":\"2026-01\",\"alg\":\"ES256\"}",
    ]);
    let payload = format!("{{\"sub\":\"{}\",\"exp\":{}}}", dice.digits(6), dice.digits(10));
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    format!("{}.{}.{}", encode(header), encode(&payload), dice.alphanumeric(43))
}

fn private_key(dice: &mut Dice) -> String {
    let kind = dice.pick(&["RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED "]);
    let lines: Vec<String> = (0..dice.between(2, 25)).map(|_| dice.alphanumeric(64)).collect();
    let begin = "-----BEGIN ";
    format!("{begin}{kind}PRIVATE KEY-----\n{}\n-----END {kind}PRIVATE KEY-----", lines.join("\n"))
}

fn github(dice: &mut Dice) -> String {
    if dice.below(4) == 0 {
        return format!("github_pat_{}_{}", dice.alphanumeric(22), dice.alphanumeric(59));
    }
    let random = dice.alphanumeric(30);
    let mut sum = 0xffff_ffff_u32;
    for byte in random.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    let mut rest = !sum;
    let letters: Vec<char> = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".chars().collect();
    let mut last = ['0'; 6];
    for place in last.iter_mut().rev() {
        *place = letters[(rest % 62) as usize];
        rest /= 62;
    }
    format!("{}_{random}{}", dice.pick(&["ghp", "gho", "ghs"]), last.iter().collect::<String>())
}

fn slack(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => format!("xoxb-{}-{}-{}", dice.digits(12), dice.digits(13), dice.alphanumeric(24)),
        1 => format!("xoxp-{}-{}-{}-{}", dice.digits(12), dice.digits(12), dice.digits(13), dice.hex(32)),
        _ => {
            let (team, channel) = (dice.of("0123456789ABCDEF", 8), dice.of("0123456789ABCDEF", 8));
            format!("hooks.slack.com/services/T{team}/B{channel}/{}", dice.alphanumeric(24))
        }
    }
}

fn secret(dice: &mut Dice) -> (Place, String) {
    let password = match dice.below(3) {
        0 => dice.of("abcdefghijkmnpqrstuvwxyz", 5) + &dice.digits(3),
        1 => dice.alphanumeric(20) + "9",
        _ => dice.of("abcXYZ", 4) + &dice.of("!^~", 2) + &dice.digits(4),
    };
    let places = [
        ("", "password=", ""),
        ("", "host=db password='", "' dbname=x"),
        ("body", "{\"user\":\"ada\",\"password\":\"", "\",\"n\":1}"),
        ("body", "{\\\"token\\\": \\\"", "\\\"}"),
        ("yaml", "db:\n  password: ", "\n  port: 5432\n"),
        ("url", "postgres://ada:", "@db.example.org:5432/x"),
        ("url", "redis://:", "@cache:6379"),
        ("query", "/login?user=ada&api_key=", "&x=1"),
        ("sql", "ALTER USER ada PASSWORD '", "'"),
        ("sql", "create user 'ada' identified by '", "';"),
        ("env", "export AWS_SECRET_ACCESS_KEY=", "\n"),
        ("header", "Authorization: Bearer ", ""),
        ("ini", "client_secret = ", "\n"),
        ("password", "", ""),
        ("code", "const dbPassword = \"", "\";"),
    ];
    if dice.below(12) == 0 {
        let login = Base64::encode_string(format!("ada:{password}").as_bytes());
        return (("header", "Authorization: Basic ", "\r\n"), login);
    }
    (dice.pick(&places), password)
}
