//! The outside: a network namespace behind a cable, where every address of two networks answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::super::PAYLOAD;
use super::host::{make_unit, tell_all};
use super::probe::GREETING;

/// The end of the cable on this side.
pub(super) const DEVICE: &str = "cable";

const PORT: u16 = 7321;

const NETWORK: &str = "
    ip netns add outside
    ip link add cable type veth peer name far netns outside
    ip address add 10.66.0.1/24 dev cable
    ip address add fd66::1/64 dev cable nodad
    ip link set cable up
    ip route add 10.66.1.0/24 via 10.66.0.2
    ip -n outside address add 10.66.0.2/24 dev far
    ip -n outside address add fd66::2/64 dev far nodad
    ip -n outside link set far up
    ip -n outside link set lo up
    ip -n outside route add local 10.66.1.0/24 dev lo
    ip -n outside route add local fd66:0:0:1::/64 dev lo
    ip route add fd66:0:0:1::/64 via fd66::2
    useradd --create-home --shell /bin/sh alice";

/// The outside and its server, and the services that want to get there.
pub(super) struct Site {
    server: Child,
}

impl Site {
    /// Lays the cable and starts the server.
    pub(super) fn make() -> Result<Self> {
        tell_all(NETWORK)?;
        for unit in ["job.service", "open.service", "other.service"] {
            make_unit(unit)?;
        }
        let program = format!("{PAYLOAD}/guest");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "outside", &program, "__vm", "serve"]);
        let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut ready = String::new();
        BufReader::new(server.stdout.take().context("no pipe")?).read_line(&mut ready)?;
        Ok(Self { server })
    }

    pub(super) fn address(&self, host: u8) -> String {
        format!("10.66.1.{host}:{PORT}")
    }

    pub(super) fn address6(&self, host: u8) -> String {
        format!("[fd66:0:0:1::{host:x}]:{PORT}")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The machine is about to be switched off.
        let _ = self.server.kill();
    }
}

/// Greets whoever has asked something, and hangs up.
pub(super) fn serve() -> Result<()> {
    let listener = TcpListener::bind(("::", PORT))?;
    println!("ready");
    for client in listener.incoming() {
        // A client that goes away is its own loss.
        let _ = greet(client?);
    }
    Ok(())
}

fn greet(mut client: TcpStream) -> Result<()> {
    let mut asked = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    while asked.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(client.write_all(GREETING.as_bytes())?)
}
