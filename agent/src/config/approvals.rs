//! `[approve]`: who is asked, how, and how long a request waits.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use toml::Spanned;

use super::check::{DAY, MINUTE, SECOND, directory, length, number};
use super::error::{Problems, quoted};
use super::raw::{RawApprovals, Setting};

/// `[approve]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// The system group whose members may decide, besides root.
    pub group: Option<String>,
    /// How long a request waits.
    pub expiry: Duration,
    /// How many requests of one identity wait at once.
    pub max_pending: NonZeroU32,
    /// Who is told over HTTP.
    pub webhooks: Vec<Uri>,
    /// The file with what messages are signed with.
    pub webhook_secret: Option<PathBuf>,
    /// How long one try may take.
    pub webhook_timeout: Duration,
    /// Where links and buttons come in.
    pub listen: Option<SocketAddr>,
    /// What links begin with, without a slash at its end.
    pub link_base: Option<String>,
    /// Who gets links, by names of this host.
    pub link_people: Vec<String>,
    /// The file with what buttons are signed with.
    pub slack_secret: Option<PathBuf>,
    /// Who presses them: names of this host by user id.
    pub slack_people: BTreeMap<String, String>,
}

impl Approvals {
    const MAX_PENDING: NonZeroU32 = NonZeroU32::MIN.saturating_add(15);
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            group: None,
            expiry: Duration::from_secs(3600),
            max_pending: Self::MAX_PENDING,
            webhooks: Vec::new(),
            webhook_secret: None,
            webhook_timeout: Duration::from_secs(10),
            listen: None,
            link_base: None,
            link_people: Vec::new(),
            slack_secret: None,
            slack_people: BTreeMap::new(),
        }
    }
}

pub(super) fn check(raw: &RawApprovals, problems: &mut Problems) -> Approvals {
    let default = Approvals::default();
    together(raw, problems);
    let name = "the name of a system group, for example \"sallyport-approvers\"";
    let mut file = |key, setting: &Setting<String>| setting.as_ref().and_then(|path| directory(key, path, problems));
    let webhook_secret = file("webhook_secret", &raw.webhook_secret);
    let slack_secret = file("slack_secret", &raw.slack_secret);
    Approvals {
        group: raw.group.as_ref().and_then(|text| named(text, "a group's name", name, problems)),
        expiry: length("expiry", &raw.expiry, SECOND..=7 * DAY, problems).unwrap_or(default.expiry),
        max_pending: number("max_pending", &raw.max_pending, 1..=1024, problems)
            .and_then(NonZeroU32::new)
            .unwrap_or(default.max_pending),
        webhooks: raw.webhook.iter().filter_map(|text| url(text, problems)).collect(),
        webhook_secret,
        webhook_timeout: length("webhook_timeout", &raw.webhook_timeout, SECOND..=2 * MINUTE, problems)
            .unwrap_or(default.webhook_timeout),
        listen: raw.listen.as_ref().and_then(|text| address(text, problems)),
        link_base: raw.link_base.as_ref().and_then(|text| {
            let base = url(text, problems)?;
            Some(base.to_string().trim_end_matches('/').to_owned())
        }),
        link_people: raw.link_people.iter().filter_map(|text| person(text, problems)).collect(),
        slack_secret,
        slack_people: raw.slack_people.iter().filter_map(|text| member(text, problems)).collect(),
    }
}

/// What makes sense only with something else.
fn together(raw: &RawApprovals, problems: &mut Problems) {
    let first = |list: &[Spanned<String>]| list.first().map(Spanned::span);
    let one = |setting: &Setting<String>| setting.as_ref().map(Spanned::span);
    let rules = [
        (first(&raw.webhook), raw.webhook_secret.is_some(), "`webhook` needs `webhook_secret`"),
        (first(&raw.link_people), raw.link_base.is_some(), "`link_people` needs `link_base`"),
        (first(&raw.link_people), !raw.webhook.is_empty(), "`link_people` needs a `webhook` that sends the links"),
        (one(&raw.link_base), raw.listen.is_some(), "`link_base` needs `listen`, where links come in"),
        (one(&raw.slack_secret), raw.listen.is_some(), "`slack_secret` needs `listen`, where buttons come in"),
        (first(&raw.slack_people), raw.slack_secret.is_some(), "`slack_people` needs `slack_secret`"),
    ];
    for (place, there, message) in rules {
        if let Some(place) = place
            && !there
        {
            problems.add(place, message, None);
        }
    }
}

fn plain_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=32).contains(&name.len()) && name.chars().all(fits)
}

fn named(text: &Spanned<String>, what: &str, help: &str, problems: &mut Problems) -> Option<String> {
    let name = text.get_ref();
    if plain_name(name) {
        return Some(name.clone());
    }
    problems.add(text.span(), format!("{} cannot be {what}", quoted(name)), Some(help.to_owned()));
    None
}

fn person(text: &Spanned<String>, problems: &mut Problems) -> Option<String> {
    named(text, "a user's name", "a user name of this host, for example \"ada\"", problems)
}

fn member(text: &Spanned<String>, problems: &mut Problems) -> Option<(String, String)> {
    let found = text.get_ref().split_once('=').map(|(id, name)| (id.trim(), name.trim()));
    let found = found.filter(|(id, name)| plain_name(id) && plain_name(name));
    if found.is_none() {
        let message = format!("{} says of no user id whose it is", quoted(text.get_ref()));
        problems.add(text.span(), message, Some("write it like \"U024BE7LH=ada\"".to_owned()));
    }
    found.map(|(id, name)| (id.to_owned(), name.to_owned()))
}

/// Links and secrets pass there: without TLS not beyond this host.
fn url(text: &Spanned<String>, problems: &mut Problems) -> Option<Uri> {
    let found: Option<Uri> = text.get_ref().parse().ok();
    let found = found.filter(|url| {
        let loopback = |host: &str| {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        let plain = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        plain
            && url.host().is_some_and(|host| match url.scheme_str() {
                Some("https") => !host.is_empty(),
                Some("http") => loopback(host),
                _ => false,
            })
    });
    if found.is_none() {
        let help = "write \"https://HOST/PATH\"; \"http://\" only to a loopback address".to_owned();
        problems.add(text.span(), "this is not a URL to send to", Some(help));
    }
    found
}

fn address(text: &Spanned<String>, problems: &mut Problems) -> Option<SocketAddr> {
    let found = text.get_ref().parse::<SocketAddr>().ok();
    if found.is_none() {
        let help = Some("write it like \"127.0.0.1:7480\"".to_owned());
        problems.add(text.span(), format!("{} is not an address to listen at", quoted(text.get_ref())), help);
    }
    found
}
