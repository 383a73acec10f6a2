//! Servers in threads of the test.

use crate::network::Namespace;
use socket2::{Domain, SockRef, Socket, Type};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// A TCP server. It listens until dropped; connections go on until their peers are done.
pub struct Server {
    listener: TcpListener,
    seen: Arc<Mutex<Vec<SocketAddr>>>,
    accepted: Arc<AtomicU64>,
}

impl Server {
    /// Serves each connection with `serve`, on a thread of its own.
    pub fn start(at: &Namespace, addr: SocketAddr, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = at.run(|| {
            let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            if addr.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.bind(&addr.into())?;
            socket.listen(1024)?;
            Ok::<_, std::io::Error>(TcpListener::from(socket))
        });
        let listener = listener.unwrap_or_else(|e| panic!("a server at {addr}: {e}"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::new(AtomicU64::new(0));
        let server = Self { listener, seen: Arc::clone(&seen), accepted: Arc::clone(&accepted) };
        let listener = server.listener.try_clone().unwrap();
        let serve = Arc::new(serve);
        thread::spawn(move || {
            while let Ok((stream, peer)) = listener.accept() {
                seen.lock().unwrap().push(peer);
                accepted.fetch_add(1, SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        server
    }

    /// Sends back what it gets, until the client is done.
    pub fn echo(at: &Namespace, addr: impl Into<SocketAddr>) -> Self {
        Self::start(at, addr.into(), echo)
    }

    /// How many connections came.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(SeqCst)
    }

    /// From where they came.
    pub fn peers(&self) -> Vec<SocketAddr> {
        self.seen.lock().unwrap().clone()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Wakes the thread that accepts.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }
}

/// Sends everything back, then closes.
pub fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

/// Holds the connection until the peer ends it.
pub fn hold(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

/// Reads a little, then resets.
pub fn reset(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 64]);
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// A datagram server that sends everything back; it ends with the test.
pub fn datagrams(at: &Namespace, addr: impl Into<SocketAddr>) -> SocketAddr {
    let addr = addr.into();
    let socket = at.run(|| UdpSocket::bind(addr)).unwrap_or_else(|e| panic!("datagrams at {addr}: {e}"));
    let at = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((read, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..read], from);
        }
    });
    at
}
