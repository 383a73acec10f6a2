//! What it costs to understand PostgreSQL, side by side: nothing in between, PgBouncer, HAProxy, and our daemon.
//!
//! Server and client are PostgreSQL's own, `pgbench` and `psql`. A ratio is ours through theirs within one round.

mod measures;
mod setups;

use anyhow::{Result, bail};

use super::Report;
use super::intercept::{self, setups::Daemon, site::Network, site::Site};
use crate::process::is_root;
use setups::{Policies, Server, Way};

/// Measures everything; about ten minutes.
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
    let policies = Policies::write(&site)?;
    let daemon = Daemon::start(&site, &network, &policies.config())?;
    let ways = Way::ALL.map(|way| way.through(&site, &network));
    measures::transactions(report, &ways)?;
    measures::latency(report, &ways)?;
    measures::copies(report, &ways)?;
    measures::masking(report, &ways, |detect| {
        policies.detect(detect)?;
        daemon.reload_policies()
    })?;
    measures::large(report, &ways, daemon.pid())?;
    measures::idle(report, &ways, &server, daemon.pid())?;
    daemon.stop()?;
    report.number("postgres.used_by_others", site.used_by_others()?);
    Ok(())
}
