//! What it costs to understand PostgreSQL, side by side: nothing in between, PgBouncer, HAProxy, and our daemon.
//!
//! Server and client are PostgreSQL's own, `pgbench` and `psql`. A ratio is ours through theirs within one round.

mod measures;
mod setups;

use anyhow::{Result, bail};

use super::Report;
use super::intercept::{self, setups::Daemon, site::Network, site::Site};
use crate::process::is_root;
use setups::{PORT, Server, Way};

/// What has the daemon mask what the server's tables hold: a section of its configuration. Without it nothing is masked,
/// and what masking costs is not measured.
const MASKING: Option<&str> = None;

/// Measures everything; about five minutes.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    if !is_root() {
        bail!("the measurements load programs into the running kernel: run them as root");
    }
    intercept::build()?;
    let site = Site::make()?;
    let network = Network::make(&site)?;
    let server = Server::start(&site, &network)?;
    let _pgbouncer = setups::pgbouncer(&site, &network)?;
    let _haproxy = setups::haproxy(&site, &network)?;
    let target = format!("[target.bench]\nprotocol = \"postgres\"\naddresses = [\"127.0.0.1:{PORT}\"]\n");
    let daemon = Daemon::start(&site, &network, &(target + MASKING.unwrap_or_default()))?;
    let ways = Way::ALL.map(|way| way.through(&site, &network));
    measures::transactions(report, &ways)?;
    measures::latency(report, &ways)?;
    measures::copies(report, &ways)?;
    if MASKING.is_some() {
        measures::masking(report, &ways)?;
    }
    measures::idle(report, &ways, &server, daemon.pid())?;
    daemon.stop()?;
    report.number("postgres.used_by_others", site.used_by_others()?);
    Ok(())
}
