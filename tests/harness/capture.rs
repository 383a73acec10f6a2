//! Everything that arrives at the other host, frame by frame, with none missing.

use crate::{Namespace, network, until};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fmt,
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

const ETHERNET: usize = 14;
const ETH_P_ALL: u16 = 3;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;

/// One frame as it arrived.
#[derive(Clone)]
pub struct Frame {
    /// All of it, link header included.
    pub bytes: Vec<u8>,
    /// Ethernet protocol.
    pub ethernet: u16,
    /// IP protocol, past IPv6 extension headers; zero when it is not IP.
    pub protocol: u8,
    /// Source and destination address, when it is IP.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// Source and destination port, of protocols that have them.
    pub ports: Option<(u16, u16)>,
}

impl Frame {
    fn parse(bytes: &[u8]) -> Self {
        let ethernet = u16::from_be_bytes([bytes[12], bytes[13]]);
        let mut frame = Self { bytes: bytes.to_vec(), ethernet, protocol: 0, ends: None, ports: None };
        let packet = &bytes[ETHERNET..];
        let at = match ethernet {
            ETH_P_IP if packet.len() >= 20 => {
                let address =
                    |at: usize| IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap()));
                frame.ends = Some((address(12), address(16)));
                frame.protocol = packet[9];
                usize::from(packet[0] & 15) * 4
            }
            ETH_P_IPV6 if packet.len() >= 40 => {
                let address =
                    |at: usize| IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap()));
                frame.ends = Some((address(8), address(24)));
                let (protocol, at) = past_extensions(packet);
                frame.protocol = protocol;
                at
            }
            _ => return frame,
        };
        if matches!(i32::from(frame.protocol), libc::IPPROTO_TCP | libc::IPPROTO_UDP | 33 | 132 | 136)
            && let Some(ports) = packet.get(at..at + 4)
        {
            frame.ports = Some((u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])));
        }
        frame
    }

    /// True when these bytes are anywhere inside.
    pub fn holds(&self, marker: &[u8]) -> bool {
        self.bytes.windows(marker.len()).any(|window| window == marker)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, ethernet, protocol, ends, ports } = self;
        write!(f, "frame of {} bytes, ethernet {ethernet:#06x}, protocol {protocol}, {ends:?} {ports:?}", bytes.len())
    }
}

/// The last protocol and where it begins, past hop-by-hop, routing, fragment and destination options.
fn past_extensions(packet: &[u8]) -> (u8, usize) {
    let (mut protocol, mut at) = (packet[6], 40);
    while matches!(protocol, 0 | 43 | 44 | 60)
        && let Some(header) = packet.get(at..at + 2)
    {
        let len = if protocol == 44 { 8 } else { (usize::from(header[1]) + 1) * 8 };
        protocol = header[0];
        at += len;
    }
    (protocol, at)
}

/// A running capture. Its thread ends with the test.
pub struct Capture {
    frames: Arc<Mutex<Vec<Frame>>>,
    before: u64,
}

impl Capture {
    /// Captures from now on what arrives at the device of the other host.
    pub fn start(there: &Namespace) -> Self {
        let all = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let socket = there.run(|| Socket::new(Domain::PACKET, Type::RAW, Some(all))).expect("a packet socket");
        socket.set_recv_buffer_size(64 << 20).unwrap();
        // A frame that arrives between these two lines is in both or, wrongly, only in the capture: nothing is sent yet.
        let before = arrived(there);
        let frames: Arc<Mutex<Vec<Frame>>> = Arc::default();
        let kept = Arc::clone(&frames);
        let own = mac(network::THERE_MAC);
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 17];
            while let Ok(read) = (&socket).read(&mut buffer) {
                let from = &buffer[6..12];
                // Loopback frames have no addresses; outgoing ones have our own.
                if read >= ETHERNET && from != [0; 6] && from != own {
                    kept.lock().unwrap().push(Frame::parse(&buffer[..read]));
                }
            }
        });
        Self { frames, before }
    }

    /// Everything that has arrived by now. Fails when a frame was missed.
    pub fn frames(&self, there: &Namespace) -> Vec<Frame> {
        let wanted = arrived(there) - self.before;
        until("the capture has every frame that arrived", || {
            let frames = self.frames.lock().unwrap();
            (frames.len() as u64 >= wanted).then(|| frames.clone())
        })
    }

    /// What has arrived and `wanted` picks.
    pub fn only(&self, there: &Namespace, wanted: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        self.frames(there).into_iter().filter(|frame| wanted(frame)).collect()
    }

    /// Waits until a frame arrives that `wanted` picks.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        until(what, || self.frames.lock().unwrap().iter().find(|frame| wanted(frame)).cloned())
    }

    /// Waits until nothing has arrived for as long as `quiet`.
    pub fn settle(&self, quiet: Duration) {
        let mut last = usize::MAX;
        until("the line falls silent", || {
            let now = self.frames.lock().unwrap().len();
            let silent = now == last;
            last = now;
            thread::sleep(quiet);
            silent.then_some(())
        });
    }
}

/// Frames received by the device, as its driver counts them.
fn arrived(there: &Namespace) -> u64 {
    let listed = there.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let line = listed.lines().find_map(|line| line.trim().strip_prefix("down0:")).expect("the device");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A link address from text.
pub fn mac(text: &str) -> [u8; 6] {
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}
