//! Ways around the proxy, one after the other: nothing of them reaches the other host, and each is on the record.
//!
//! A technique is a script for probes. Its marker is in every byte it sends, its target port is its own, and its source
//! ports are outside the range of the rest of the host, so that a packet of its own is known by any of the three.

mod datagrams;
mod handed;
mod listener;
mod moves;
mod packets;
mod streams;
mod tuples;

use sallyport_tests::{
    Bed, Capture, Daemon, Frame, Puppet, Record, Server, cgroup,
    network::{self, DEVICE, ELSEWHERE4, THERE4, THERE6},
    pattern, server, within,
};
use std::{fmt::Write, net::SocketAddr, path::PathBuf, time::Duration};

/// First source port of probes.
const OWN_PORTS: u16 = 61_000;
/// How long an event may take to the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// One way around.
struct Technique {
    /// In a few words.
    name: &'static str,
    /// What the probes are told, one after the other; see [`Scene::fill`] for the words in braces. A line is for the
    /// managed probe, or, with `out:` before it, for the unmanaged one. Failures are what the technique is about.
    steps: &'static [&'static str],
    /// How it is caught.
    caught: Caught,
}

/// How a technique is caught.
#[derive(Clone, Copy)]
enum Caught {
    /// A session through the proxy.
    Diverted,
    /// Refused or dropped, by one of these hooks.
    By(&'static [&'static str]),
    /// Either.
    DivertedOr(&'static [&'static str]),
    /// What was there before the process was managed may have sent; nothing more does, and one of these hooks or the
    /// sweep says so.
    Ended(&'static [&'static str]),
    /// The kernel has no such thing, or it leads nowhere by itself: nothing to record.
    Impossible,
}

/// The stage for several techniques: one daemon, one target, one capture.
struct Stage {
    bed: Bed,
    /// `None` to see what the techniques do where nobody guards.
    daemon: Option<Daemon>,
    capture: Capture,
    listener: u16,
    port: u16,
    found: String,
    played: Vec<(&'static str, u16, Caught)>,
}

impl Stage {
    fn new(guarded: bool) -> Self {
        let bed = Bed::new();
        let daemon = guarded.then(|| bed.daemon(&bed.scope("")));
        bed.network().here.set("ipv4/ping_group_range", "0 2147483647");
        let capture = Capture::start(&bed.network().there);
        let listener = daemon.as_ref().map_or(0, Daemon::port);
        Self { bed, daemon, capture, listener, port: 5000, found: String::new(), played: Vec::new() }
    }

    /// Plays one technique and notes what got past, or was not recorded.
    fn play(&mut self, technique: &Technique) {
        self.port += 1;
        let there = &self.bed.network().there;
        let targets: [SocketAddr; 3] =
            [(THERE4, self.port).into(), (ELSEWHERE4, self.port).into(), (THERE6, self.port).into()];
        let _servers = targets.map(|target| Server::echo(there, target));
        for target in targets {
            server::datagrams(there, target);
        }
        let before = self.daemon.as_ref().map_or(0, last_id);
        let job = self.bed.managed();
        let (mut actors, mut said) = (Actors { job, stranger: None }, String::new());
        for step in technique.steps {
            let line = self.fill(step, &actors);
            let answer = actors.act(&self.bed, &line);
            let _ = writeln!(said, "    {line}: {answer:?}");
        }
        self.played.push((technique.name, self.port, technique.caught));
        if let Some(problem) = self.problem(technique, &actors, before) {
            let _ = writeln!(self.found, "{}: {problem}\n{said}", technique.name);
        }
    }

    /// What is missing from the record.
    fn problem(&self, technique: &Technique, actors: &Actors, before: i64) -> Option<String> {
        let store = self.daemon.as_ref()?.store();
        let session = || store.sessions_to(self.port).into_iter().next();
        let pids: Vec<u32> =
            [Some(&actors.job), actors.stranger.as_ref()].into_iter().flatten().map(Puppet::id).collect();
        let event = |hooks: &[&str]| {
            store.events().into_iter().find(|event| {
                let by = event["hook"].as_str().is_some_and(|hook| hooks.contains(&hook));
                let theirs = pids.iter().any(|pid| event["pid"] == *pid) || event["dest_port"] == self.port;
                let packet = event["hook"] == "device" || event["hook"] == "egress";
                event["id"].as_i64() > Some(before) && ((by && (theirs || packet)) || event["kind"] == "swept")
            })
        };
        let look = || match technique.caught {
            Caught::Diverted => session(),
            Caught::By(hooks) | Caught::Ended(hooks) => event(hooks),
            Caught::DivertedOr(hooks) => session().or_else(|| event(hooks)),
            Caught::Impossible => Some(Record::Null),
        };
        let missing = within(PATIENCE, look).is_none();
        let events: Vec<_> = store.events().into_iter().filter(|event| event["id"].as_i64() > Some(before)).collect();
        missing.then(|| format!("not on the record as it must be; events since: {events:#?}"))
    }

    /// Puts what only this run knows into a step.
    fn fill(&self, step: &str, actors: &Actors) -> String {
        let path = |path: PathBuf| path.display().to_string();
        let mut line = step.to_owned();
        let marker = marker(self.port);
        for (word, value) in [
            ("{4}", format!("{THERE4}:{}", self.port)),
            ("{other}", format!("{ELSEWHERE4}:{}", self.port)),
            ("{6}", format!("[{THERE6}]:{}", self.port)),
            ("{mapped}", format!("[::ffff:{THERE4}]:{}", self.port)),
            ("{marker}", marker.clone()),
            ("{hex}", pattern::hex(marker.as_bytes())),
            ("{len}", marker.len().to_string()),
            ("{listener}", self.listener.to_string()),
            ("{device}", DEVICE.to_owned()),
            ("{index}", self.bed.network().device_index().to_string()),
            ("{mac}", network::THERE_MAC.replace(':', "")),
            ("{frame}", pattern::hex(&packets::frame(self.port))),
            ("{packet}", pattern::hex(&packets::packet(self.port))),
            ("{packet6}", pattern::hex(&packets::packet6(self.port))),
            ("{echo6}", pattern::hex(&packets::echo6(self.port))),
            ("{segment}", pattern::hex(&packets::segment(self.port))),
            ("{echo}", pattern::hex(&packets::echo(self.port))),
            ("{root}", path(cgroup::root())),
            ("{job}", path(self.bed.unit_cgroup("job").path().to_owned())),
            ("{free}", path(self.bed.unit_cgroup("bystander").path().to_owned())),
            ("{daemon}", path(self.bed.cgroup().child("daemon").path().to_owned())),
            ("{door}", path(self.bed.dir().join(format!("door-{}", self.port)))),
            ("{pid}", actors.job.id().to_string()),
        ] {
            line = line.replace(word, &value);
        }
        line
    }

    /// Waits for stragglers, then demands that nothing got past and everything was recorded.
    fn end(mut self) {
        self.capture.settle(Duration::from_millis(700));
        for (name, port, caught) in &self.played {
            let recorded = !self.bed.store().sessions_to(*port).is_empty();
            let there = &self.bed.network().there;
            let past: Vec<_> = self.capture.only(there, |frame| escaped(frame, *port, *caught, recorded));
            if !past.is_empty() {
                let _ = writeln!(self.found, "{name}: GOT PAST: {past:#?}");
            }
        }
        let ports: Vec<u16> = self.played.iter().map(|(_, port, _)| *port).collect();
        let unasked = self.capture.only(&self.bed.network().there, |frame| {
            !is_neighbourly(frame) && !frame.ports.is_some_and(|(_, to)| ports.contains(&to))
        });
        if !unasked.is_empty() {
            let _ = writeln!(self.found, "GOT PAST, of whichever: {unasked:#?}");
        }
        let (played, found) = (self.played.len(), std::mem::take(&mut self.found));
        assert!(found.is_empty(), "of {played} techniques:\n{found}");
    }
}

/// The probes of one technique.
struct Actors {
    job: Puppet,
    stranger: Option<Puppet>,
}

impl Actors {
    fn act(&mut self, bed: &Bed, line: &str) -> sallyport_tests::puppet::Answer {
        match line.strip_prefix("out: ") {
            Some(line) => self.stranger.get_or_insert_with(|| bed.unmanaged()).ask(line),
            None => self.job.ask(line),
        }
    }
}

/// In every byte string a technique sends.
fn marker(port: u16) -> String {
    format!("sally-was-here-{port}")
}

fn last_id(daemon: &Daemon) -> i64 {
    daemon.store().events().iter().filter_map(|event| event["id"].as_i64()).max().unwrap_or(0)
}

/// True for a frame of the technique with this port that the proxy did not send.
fn escaped(frame: &Frame, port: u16, caught: Caught, recorded: bool) -> bool {
    let tcp = i32::from(frame.protocol) == libc::IPPROTO_TCP;
    let (from, to) = frame.ports.unwrap_or_default();
    if matches!(caught, Caught::Ended(_)) {
        return frame.holds(marker(port).as_bytes());
    }
    let proxied = recorded && tcp && to == port && from < OWN_PORTS;
    (to == port || frame.holds(marker(port).as_bytes())) && !proxied
}

/// What the kernel says by itself: ARP, neighbour discovery, group membership.
fn is_neighbourly(frame: &Frame) -> bool {
    const ARP: u16 = 0x0806;
    let discovery =
        i32::from(frame.protocol) == libc::IPPROTO_ICMPV6 && frame.bytes.iter().any(|byte| (133..=143).contains(byte));
    frame.ethernet == ARP || discovery
}

/// Plays a table of techniques on one stage.
fn play(techniques: &[Technique]) {
    let mut stage = Stage::new(true);
    for technique in techniques {
        stage.play(technique);
    }
    stage.end();
}

/// A technique that does not work anywhere proves nothing when it is caught.
#[test]
fn every_technique_gets_past_where_nobody_guards() {
    let mut stage = Stage::new(false);
    let tables =
        [streams::TECHNIQUES, datagrams::TECHNIQUES, packets::TECHNIQUES, handed::TECHNIQUES, moves::TECHNIQUES];
    let techniques: Vec<&Technique> = tables.into_iter().flatten().collect();
    assert!(techniques.len() >= 30);
    for technique in &techniques {
        stage.play(technique);
    }
    let there = &stage.bed.network().there;
    let frames = stage.capture.frames(there);
    let vain = stage.played.iter().filter(|(name, port, caught)| {
        // Memory for frames alone sends nothing.
        let possible = !matches!(caught, Caught::Impossible) && *name != "AF_XDP";
        let to = |frame: &Frame| frame.ports.is_some_and(|(_, to)| to == *port);
        possible && !frames.iter().any(|frame| frame.holds(marker(*port).as_bytes()) || to(frame))
    });
    let vain: Vec<&str> = vain.map(|(name, ..)| *name).collect();
    assert!(vain.is_empty(), "of {} techniques: {vain:#?}", techniques.len());
}
