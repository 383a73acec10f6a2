//! What processes under test do: one attempt after the other, each with a line on what came of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketType, socket};

/// What the server outside says.
pub(super) const GREETING: &str = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the attempts: `tcp=ADDRESS`, `udp=ADDRESS`, `socket=FAMILY,TYPE,PROTOCOL`; `linger=MILLISECONDS`.
pub(super) fn run(attempts: &[&str]) {
    for attempt in attempts {
        let came = match attempt.split_once('=') {
            Some(("tcp", address)) => tcp(address),
            Some(("udp", address)) => udp(address),
            Some(("socket", numbers)) => make(numbers),
            Some(("linger", milliseconds)) => linger(milliseconds),
            _ => Err(io::Error::other("no such attempt")),
        };
        println!("{attempt} {}", came.unwrap_or_else(|error| error.to_string()));
    }
}

fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(io::Error::other)
}

/// A whole exchange, and whom the process believes to talk to.
pub(super) fn tcp(text: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address(text)?, PATIENCE)?;
    let peer = stream.peer_addr()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer != GREETING {
        return Err(io::Error::other(format!("it said {answer:?}")));
    }
    Ok(format!("ok with {peer}"))
}

fn udp(text: &str) -> io::Result<String> {
    let to = address(text)?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    UdpSocket::bind(any)?.send_to(b"hello", to)?;
    Ok("ok".to_owned())
}

fn make(numbers: &str) -> io::Result<String> {
    let mut numbers = numbers.split(',').map(str::parse::<u32>);
    let (Some(Ok(family)), Some(Ok(kind)), Some(Ok(protocol))) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return Err(io::Error::other("three numbers are wanted"));
    };
    let family = AddressFamily::from_raw(u16::try_from(family).map_err(io::Error::other)?);
    let protocol = RawProtocol::new(protocol).map(Protocol::from_raw);
    socket(family, SocketType::from_raw(kind), protocol)?;
    Ok("ok".to_owned())
}

fn linger(milliseconds: &str) -> io::Result<String> {
    sleep(Duration::from_millis(milliseconds.parse().map_err(io::Error::other)?));
    Ok("ok".to_owned())
}
