//! What runs inside the machine: the checks in their order, each a line on the serial line.

mod endings;
mod flows;
mod host;
mod people;
mod probe;
mod refusals;
mod site;
mod start;

use std::time::Instant;

use anyhow::{Result, bail};

use host::ask;
use site::Site;

type Check = (&'static str, fn(&mut Guest) -> Result<String>);

/// Each goes on from where the one before it left the machine.
const CHECKS: [Check; 37] = [
    ("boot", start::boot),
    ("package", start::package),
    ("unit", start::unit),
    ("doctor", start::doctor),
    ("programs", start::programs),
    ("reload", start::reload),
    ("job", flows::job),
    ("identity", flows::identity),
    ("ipv6", flows::ipv6),
    ("curl", flows::curl),
    ("slice", flows::slice),
    ("restart of the job", flows::restart),
    ("unmanaged", flows::unmanaged),
    ("udp", refusals::udp),
    ("ping", refusals::ping),
    ("packet socket", refusals::packet),
    ("vsock", refusals::vsock),
    ("refusal in passing", refusals::in_passing),
    ("login", people::login),
    ("sudo", people::sudo),
    ("su", people::su),
    ("sandbox", start::sandbox),
    ("carried packet socket", refusals::carried),
    ("device while stopped", refusals::device_while_stopped),
    ("bypass", endings::bypass),
    ("end of the bypass", endings::closed_again),
    ("kill", endings::kill),
    ("restart after the kill", endings::back),
    ("upgrade", endings::upgrade),
    ("stop", endings::stop),
    ("fail open while stopped", endings::open_while_stopped),
    ("unmanaged while stopped", endings::unmanaged_while_stopped),
    ("bypass while stopped", endings::bypass_while_stopped),
    ("start", endings::start),
    ("detach", endings::detach),
    ("start after detaching", endings::start),
    ("removal", endings::removal),
];

/// What the checks hand on to each other.
struct Guest {
    site: Site,
    /// Host part of the address used last.
    last: u8,
}

impl Guest {
    /// An address outside that nobody has asked for yet, so that its records are one check's alone.
    fn fresh(&mut self) -> String {
        self.last += 1;
        self.site.address(self.last)
    }

    /// The same in IPv6.
    fn fresh6(&mut self) -> String {
        self.last += 1;
        self.site.address6(self.last)
    }
}

/// Names of all checks.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

/// `guest` runs the checks; the other words are what the checks start.
pub(super) fn run(words: &[&str]) -> Result<()> {
    match words {
        ["guest"] => checks(),
        ["serve"] => site::serve(),
        ["probe", attempts @ ..] => {
            probe::run(attempts);
            Ok(())
        }
        _ => bail!("this is between `cargo xtask vm-test` and its machine"),
    }
}

fn checks() -> Result<()> {
    let mut guest = Guest { site: Site::make()?, last: 0 };
    let mut failed = false;
    for (name, check) in CHECKS {
        let start = Instant::now();
        let outcome = check(&mut guest);
        failed |= outcome.is_err();
        let (verdict, detail) = match outcome {
            Ok(detail) => ("ok", detail),
            Err(error) => ("FAIL", format!("{error:#}")),
        };
        let detail = detail.lines().collect::<Vec<_>>().join(" | ");
        println!("VM: {name}: {verdict} [{:.1} s] {detail}", start.elapsed().as_secs_f64());
    }
    if failed {
        println!("{}", ask(&["journalctl", "--no-pager", "--lines=200", "--unit=sallyport"])?.text);
    }
    Ok(())
}
