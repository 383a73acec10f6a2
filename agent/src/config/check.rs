//! From the file as written to values that cannot be wrong.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::DEFAULT_POLICIES;
use super::approvals;
use super::audit;
use super::duration::{duration, in_words};
use super::error::{Problems, quoted};
use super::host::Host;
use super::raw::{RawConfig, RawIdentity, RawIntercept, RawPolicy, RawProxy, RawScope, Setting};
use super::selectors::{self, Taken};
use super::suggest::nearest;
use super::target::{self, MAX_TARGETS};
use super::valid::{
    Config, Fail, HostName, Identity, Inbound, Intercept, Level, Log, MaxFlows, Mode, Policy, Proxy, Resolvers, Scope,
    ScopeName, Tag, Telemetry, TrustDomain, Udp,
};
use crate::policy::Zone;

/// The kernel's array of scopes has one more place, for the start-up canary.
const MAX_SCOPES: usize = sallyport_ebpf::CANARY_SCOPE as usize;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Checks everything. The result counts only while `problems` stays empty.
pub(super) fn config(raw: &RawConfig, host: &dyn Host, problems: &mut Problems) -> Config {
    if let Some(extra) = raw.scopes.get(MAX_SCOPES) {
        let message = format!("{} scopes; {MAX_SCOPES} is the most", raw.scopes.len());
        let help = "one scope may list many units, users or cgroups".to_owned();
        problems.add(extra.name.span(), message, Some(help));
    }
    let mut taken = Taken::new();
    let mut scopes = Vec::new();
    for raw in raw.scopes.iter().take(MAX_SCOPES) {
        scopes.extend(scope(raw, host, &mut taken, problems));
    }
    if let Some(extra) = raw.targets.get(MAX_TARGETS) {
        let message = format!("{} targets; {MAX_TARGETS} is the most", raw.targets.len());
        problems.add(extra.name.span(), message, Some("one target may have many addresses".to_owned()));
    }
    let mut targets = Vec::new();
    for raw in raw.targets.iter().take(MAX_TARGETS) {
        targets.extend(target::check(raw, &targets, problems));
    }
    Config {
        scopes,
        targets,
        intercept: intercept(&raw.intercept, problems),
        proxy: proxy(&raw.proxy, problems),
        identity: identity(&raw.identity, host, problems),
        policy: policy(&raw.policy, problems),
        approvals: approvals::check(&raw.approvals, problems),
        audit: audit::check(&raw.audit, problems),
        telemetry: Telemetry {
            log: choice(
                "log",
                &raw.telemetry.log,
                &[("auto", Log::Auto), ("journald", Log::Journald), ("text", Log::Text), ("json", Log::Json)],
                problems,
            ),
            level: choice("level", &raw.telemetry.level, LEVELS, problems),
        },
        ..Config::defaults(host)
    }
}

const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

fn scope(raw: &RawScope, host: &dyn Host, taken: &mut Taken, problems: &mut Problems) -> Option<Scope> {
    let name = ScopeName::new(raw.name.get_ref());
    if name.is_none() {
        let message = format!("{} cannot be a scope's name", quoted(raw.name.get_ref()));
        let help = format!("1 to {} of a-z, 0-9 and `-`", ScopeName::MAX);
        problems.add(raw.name.span(), message, Some(help));
    }
    let selectors = selectors::check(raw, host, taken, problems);
    let mode = choice("mode", &raw.mode, &[("enforce", Mode::Enforce), ("observe", Mode::Observe)], problems);
    let fail = choice("fail", &raw.fail, &[("closed", Fail::Closed), ("open", Fail::Open)], problems);
    let udp = choice("udp", &raw.udp, &[("dns", Udp::Dns), ("allow", Udp::Allow)], problems);
    let inbound = choice("inbound", &raw.inbound, &[("deny", Inbound::Deny), ("allow", Inbound::Allow)], problems);
    let tags = raw.tags.iter().filter_map(|text| tag(text, problems)).collect();
    Some(Scope { name: name?, selectors, mode, fail, udp, inbound, tags })
}

pub(super) fn tag(text: &Spanned<String>, problems: &mut Problems) -> Option<Tag> {
    let found = Tag::new(text.get_ref());
    if found.is_none() {
        let help = Some(format!("1 to {} of a-z, 0-9 and `-`", ScopeName::MAX));
        problems.add(text.span(), format!("{} cannot be a tag", quoted(text.get_ref())), help);
    }
    found
}

fn intercept(raw: &RawIntercept, problems: &mut Problems) -> Intercept {
    let default = Intercept::default();
    let flows = RangeInclusive::new(MaxFlows::MIN, MaxFlows::MAX);
    Intercept {
        listen_port: number("listen_port", &raw.listen_port, 0..=65_535, problems).and_then(NonZeroU16::new),
        max_flows: number("max_flows", &raw.max_flows, flows, problems)
            .and_then(MaxFlows::new)
            .unwrap_or(default.max_flows),
        bpffs: raw.bpffs.as_ref().and_then(|path| directory("bpffs", path, problems)).unwrap_or(default.bpffs),
        resolvers: raw.resolvers.as_ref().map_or(default.resolvers, |list| {
            Resolvers::These(list.iter().filter_map(|text| resolver(text, problems)).collect())
        }),
    }
}

fn proxy(raw: &RawProxy, problems: &mut Problems) -> Proxy {
    let default = Proxy::default();
    let most = Proxy::MAX_CONNECTIONS;
    Proxy {
        connect_timeout: length("connect_timeout", &raw.connect_timeout, SECOND / 10..=10 * MINUTE, problems)
            .unwrap_or(default.connect_timeout),
        idle_timeout: length("idle_timeout", &raw.idle_timeout, SECOND..=30 * DAY, problems)
            .unwrap_or(default.idle_timeout),
        keepalive: length("keepalive", &raw.keepalive, SECOND..=DAY, problems).unwrap_or(default.keepalive),
        drain_timeout: length("drain_timeout", &raw.drain_timeout, Duration::ZERO..=10 * MINUTE, problems)
            .unwrap_or(default.drain_timeout),
        max_connections: number("max_connections", &raw.max_connections, 1..=most, problems)
            .and_then(NonZeroU32::new)
            .unwrap_or(default.max_connections),
        busy_poll: raw.busy_poll.as_ref().map_or(default.busy_poll, |on| *on.get_ref()),
    }
}

fn identity(raw: &RawIdentity, host: &dyn Host, problems: &mut Problems) -> Identity {
    let trust_domain = raw.trust_domain.as_ref().and_then(|text| {
        let name = text.get_ref();
        let found = TrustDomain::new(name);
        if found.is_none() {
            let help = match name.strip_prefix("spiffe://") {
                Some(rest) => format!("write it without the scheme: \"{}\"", rest.trim_end_matches('/')),
                None => "1 to 255 of a-z, 0-9, `.`, `-` and `_`, for example \"prod.example.org\"".to_owned(),
            };
            problems.add(text.span(), format!("{} is not a SPIFFE trust domain", quoted(name)), Some(help));
        }
        found
    });
    let host_name = raw.host.as_ref().and_then(|text| {
        let found = HostName::new(text.get_ref());
        if found.is_none() {
            let message = format!("{} cannot be part of a SPIFFE ID", quoted(text.get_ref()));
            problems.add(text.span(), message, Some("1 to 253 of letters, digits, `.`, `-` and `_`".to_owned()));
        }
        found
    });
    Identity { trust_domain: trust_domain.unwrap_or_default(), host: host_name.unwrap_or_else(|| HostName::of(host)) }
}

fn policy(raw: &RawPolicy, problems: &mut Problems) -> Policy {
    let modes = [("enforce", Mode::Enforce), ("observe", Mode::Observe)];
    let mode = raw.mode.as_ref().map(|_| choice("mode", &raw.mode, &modes, problems));
    let directory = raw.directory.as_ref().and_then(|path| directory("directory", path, problems));
    let zone = raw.zone.as_ref().and_then(|name| zone(name, problems)).unwrap_or_default();
    let required = directory.is_some();
    Policy { directory: directory.unwrap_or_else(|| DEFAULT_POLICIES.into()), required, mode, zone }
}

fn zone(name: &Spanned<String>, problems: &mut Problems) -> Option<Zone> {
    let text = name.get_ref();
    if text == "UTC" {
        return Some(Zone::default());
    }
    match TimeZone::get(text) {
        Ok(rules) => Some(Zone::new(text, rules)),
        Err(_) => {
            let message = format!("{} is no time zone of this host", quoted(text));
            let help = "for example \"UTC\" or \"Europe/Berlin\"; the package tzdata has them".to_owned();
            problems.add(name.span(), message, Some(help));
            None
        }
    }
}

/// One of a few words; absent or wrong gives the default.
pub(super) fn choice<T: Copy + Default>(
    key: &str,
    setting: &Setting<String>,
    choices: &[(&str, T)],
    problems: &mut Problems,
) -> T {
    let Some(text) = setting else { return T::default() };
    if let Some((_, value)) = choices.iter().find(|(word, _)| word == text.get_ref()) {
        return *value;
    }
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let message = format!("`{key}` must be {}, not {}", words.join(" or "), quoted(text.get_ref()));
    let near = nearest(text.get_ref(), choices.iter().map(|(word, _)| *word));
    problems.add(text.span(), message, near.map(|near| format!("did you mean \"{near}\"?")));
    T::default()
}

pub(super) fn number<T>(
    key: &str,
    setting: &Setting<i64>,
    range: RangeInclusive<u32>,
    problems: &mut Problems,
) -> Option<T>
where
    T: TryFrom<u32>,
{
    let number = setting.as_ref()?;
    let found = u32::try_from(*number.get_ref()).ok().filter(|number| range.contains(number));
    if found.is_none() {
        let message = format!("`{key}` must be from {} to {}", range.start(), range.end());
        problems.add(number.span(), message, None);
    }
    found.and_then(|number| T::try_from(number).ok())
}

pub(super) fn length(
    key: &str,
    setting: &Setting<String>,
    range: RangeInclusive<Duration>,
    problems: &mut Problems,
) -> Option<Duration> {
    let text = setting.as_ref()?;
    match duration(text.get_ref()) {
        Ok(length) if range.contains(&length) => Some(length),
        Ok(_) => {
            let (least, most) = (in_words(*range.start()), in_words(*range.end()));
            problems.add(text.span(), format!("`{key}` must be from {least} to {most}"), None);
            None
        }
        Err(error) => {
            let message = format!("`{key}` is not a length of time: {error}");
            problems.add(text.span(), message, Some("write it like \"10s\", \"5m\" or \"1h30m\"".to_owned()));
            None
        }
    }
}

pub(super) fn directory(key: &str, text: &Spanned<String>, problems: &mut Problems) -> Option<PathBuf> {
    let path = PathBuf::from(text.get_ref());
    if path.is_absolute() {
        return Some(path);
    }
    problems.add(
        text.span(),
        format!("`{key}` must be an absolute path"),
        Some(format!("did you mean \"/{}\"?", text.get_ref())),
    );
    None
}

/// `ip`, `ip:port` or `[v6]:port`. Names are no use here: resolving them needs a resolver.
fn resolver(text: &Spanned<String>, problems: &mut Problems) -> Option<SocketAddr> {
    let found = text
        .get_ref()
        .parse::<IpAddr>()
        .map(|address| SocketAddr::new(address, 53))
        .or_else(|_| text.get_ref().parse::<SocketAddr>())
        .ok()
        .filter(|server| server.port() != 0 && !server.ip().is_unspecified());
    if found.is_none() {
        let message = format!("{} is not a resolver's address", quoted(text.get_ref()));
        let help = "write \"10.0.0.2\", \"10.0.0.2:5353\" or \"[2001:db8::1]:53\"".to_owned();
        problems.add(text.span(), message, Some(help));
    }
    found
}
