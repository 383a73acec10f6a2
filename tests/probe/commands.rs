//! Every command of the probe.

use crate::{
    sockets::{self, address},
    sys::{self, Ring},
};
use sallyport_tests::pattern;
use socket2::{SockAddr, Socket};
use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
    time::Duration,
};

/// What the probe holds.
#[derive(Default)]
pub struct Probe {
    sockets: HashMap<String, Socket>,
    doors: HashMap<String, UnixListener>,
}

type Answer = io::Result<String>;

impl Probe {
    /// Reads commands until there are no more.
    pub fn serve(mut self) {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            let answer = match self.obey(&line.split_whitespace().collect::<Vec<_>>()) {
                Ok(what) => format!("ok {what}"),
                Err(error) => format!("err {} {error}", error.raw_os_error().unwrap_or(0)),
            };
            if writeln!(io::stdout(), "{answer}").is_err() {
                return;
            }
        }
    }

    fn obey(&mut self, words: &[&str]) -> Answer {
        let done = String::new;
        match words {
            ["child", rest @ ..] => self.in_child(rest, false),
            ["orphan", rest @ ..] => self.in_child(rest, true),
            ["thread", rest @ ..] => thread::scope(|scope| {
                scope.spawn(|| self.obey(rest)).join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            }),
            ["socket", name, kind] => self.keep(name, sockets::make(kind)?),
            ["ring-socket", name, kind] => self.keep(name, sockets::make_by_ring(kind)?),
            ["close", name] => Ok(self.sockets.remove(*name).map(|_| done()).unwrap_or_default()),
            ["reset", name] => {
                let socket = self.sockets.remove(*name).ok_or(io::ErrorKind::NotFound)?;
                socket.set_linger(Some(Duration::ZERO)).map(|()| done())
            }
            ["enter", dir] => fs::write(Path::new(dir).join("cgroup.procs"), "0").map(|()| done()),
            ["move", pid, dir] => fs::write(Path::new(dir).join("cgroup.procs"), pid).map(|()| done()),
            ["user", uid] => sys::become_user(uid.parse().map_err(io::Error::other)?).map(|()| done()),
            ["login", uid] => fs::write("/proc/self/loginuid", uid).map(|()| done()),
            ["name", name] => {
                let name = std::ffi::CString::new(*name)?;
                rustix::thread::set_name(&name)?;
                Ok(done())
            }
            ["network", path] => sockets::enter_network(path).map(|()| done()),
            ["run", program, arguments @ ..] => run(program, arguments),
            ["end-of", program, arguments @ ..] => end_of(program, arguments),
            ["unix-listen", door, path] => {
                self.doors.insert((*door).to_owned(), UnixListener::bind(path)?);
                Ok(done())
            }
            ["take", name, door] => {
                let door = self.doors.get(*door).ok_or(io::ErrorKind::NotFound)?;
                let socket = sockets::take(&caller(door)?)?;
                self.keep(name, socket)
            }
            ["accept", name, listener] => {
                let socket = self.socket(listener)?.accept()?.0;
                self.keep(name, socket)
            }
            ["ask-unix", path, text] => ask_unix(path, text),
            [command, name, rest @ ..] => on_socket(self.socket(name)?, command, rest),
            _ => Err(io::Error::other("no such command")),
        }
    }

    fn keep(&mut self, name: &str, socket: Socket) -> Answer {
        self.sockets.insert(name.to_owned(), socket);
        Ok(String::new())
    }

    fn socket(&self, name: &str) -> io::Result<&Socket> {
        self.sockets.get(name).ok_or_else(|| io::Error::other("no such socket, or no such command"))
    }

    /// Carries a command out in a child, or in an orphaned grandchild of a session of its own.
    fn in_child(&mut self, words: &[&str], orphan: bool) -> Answer {
        let (mut answer, mut question) = io::pipe()?;
        let child = sys::fork()?;
        if child.is_none() {
            if orphan && !matches!(sys::fork(), Ok(None)) {
                sys::leave();
            }
            if orphan {
                let _ = rustix::process::setsid();
            }
            let said = match self.obey(words) {
                Ok(what) => format!("ok {what}"),
                Err(error) => format!("err {} {error}", error.raw_os_error().unwrap_or(0)),
            };
            let _ = question.write_all(said.as_bytes());
            sys::leave();
        }
        drop(question);
        let mut said = String::new();
        answer.read_to_string(&mut said)?;
        sys::wait(child.unwrap_or_default())?;
        match said.split_once(' ') {
            Some(("ok", what)) => Ok(what.to_owned()),
            Some(("err", rest)) => {
                let number = rest.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
                Err(io::Error::from_raw_os_error(number))
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// What is done with one socket.
fn on_socket(socket: &Socket, command: &str, words: &[&str]) -> Answer {
    let done = |()| String::new();
    let sent = |bytes: usize| bytes.to_string();
    match (command, words) {
        ("bind", [to]) => socket.bind(&address(to)?).map(done),
        ("connect", [to]) => socket.connect(&address(to)?).map(done),
        ("begin", [to]) => begin(socket, &address(to)?).map(done),
        ("disconnect", []) => socket.connect(&sockets::nowhere()).map(done),
        ("ring", [how, to]) => {
            let how = match *how {
                "async" => Ring::Async,
                "polled" => Ring::Polled,
                _ => Ring::Inline,
            };
            sys::ring_connect(socket, &address(to)?, how).map(done)
        }
        ("ring-send", [text]) => sys::ring_send(socket, text.as_bytes()).map(|bytes| bytes.to_string()),
        ("listen", []) => socket.listen(16).map(done),
        ("write", [text]) => socket.send_with_flags(text.as_bytes(), libc::MSG_NOSIGNAL).map(sent),
        ("sendto", [to, text]) => socket.send_to(text.as_bytes(), &address(to)?).map(sent),
        ("sendhex", [to, hex]) => socket.send_to(&bytes(hex), &address(to)?).map(sent),
        ("fastopen", [to, text]) => {
            let flags = libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL;
            socket.send_to_with_flags(text.as_bytes(), &address(to)?, flags).map(sent)
        }
        ("mmsg", [to, text]) => sys::send_two(socket, &address(to)?, text.as_bytes()).map(|n| n.to_string()),
        ("frame", [device, protocol, mac, hex]) => {
            let device = device.parse().map_err(io::Error::other)?;
            let protocol = protocol.parse().map_err(io::Error::other)?;
            let to = sockets::link_address(device, protocol, &bytes(mac));
            socket.send_to(&bytes(hex), &to).map(sent)
        }
        ("option", [level, name, hex]) => {
            let number = |text: &str| text.parse::<i32>().map_err(io::Error::other);
            sys::set_option(socket, number(level)?, number(name)?, &bytes(hex)).map(done)
        }
        ("device", [name]) => socket.bind_device(Some(name.as_bytes())).map(done),
        ("patience", [milliseconds]) => {
            let time = Duration::from_millis(milliseconds.parse().map_err(io::Error::other)?);
            socket.set_write_timeout(Some(time))?;
            socket.set_read_timeout(Some(time)).map(done)
        }
        ("read", [count]) => read(socket, count.parse().map_err(io::Error::other)?),
        ("end", []) => match (&mut &*socket).read(&mut [0; 1])? {
            0 => Ok(String::new()),
            _ => Err(io::Error::other("a byte, and not the end")),
        },
        ("half", []) => socket.shutdown(Shutdown::Write).map(done),
        ("peer", []) => Ok(text(&socket.peer_addr()?)),
        ("local", []) => Ok(text(&socket.local_addr()?)),
        ("give", [path]) => sockets::give(&UnixStream::connect(path)?, socket).map(done),
        ("exchange", [count, seed]) => {
            let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
            pattern::exchange(&std::net::TcpStream::from(socket.try_clone()?), number(count)?, number(seed)?)
        }
        _ => Err(io::Error::other("no such command")),
    }
}

/// Starts to connect and does not wait.
fn begin(socket: &Socket, to: &SockAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let begun = socket.connect(to);
    socket.set_nonblocking(false)?;
    match begun {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        other => other,
    }
}

fn read(mut socket: &Socket, count: usize) -> Answer {
    let mut buffer = vec![0; count];
    socket.read_exact(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

fn run(program: &str, arguments: &[&str]) -> Answer {
    let output = std::process::Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; "));
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}

/// Whoever comes to a door; nobody may, when the other process was killed.
fn caller(door: &UnixListener) -> io::Result<UnixStream> {
    door.set_nonblocking(true)?;
    sallyport_tests::within(Duration::from_secs(3), || door.accept().ok())
        .map(|(stream, _)| stream)
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// The exit code of a program and what it said on standard error.
fn end_of(program: &str, arguments: &[&str]) -> Answer {
    let output = std::process::Command::new(program).args(arguments).output()?;
    let code = output.status.code().unwrap_or(-1);
    Ok(format!("{code} {}", String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}

/// One line to a UNIX socket, and the first line of the answer.
fn ask_unix(path: &str, text: &str) -> Answer {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    writeln!(stream, "{text}")?;
    let mut line = String::new();
    io::BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn text(addr: &SockAddr) -> String {
    addr.as_socket().map_or_else(|| format!("{addr:?}"), |addr| addr.to_string())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |index: usize| hex.get(index..index + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    (0..hex.len()).step_by(2).map(|index| digit(index).expect("hexadecimal digits")).collect()
}
