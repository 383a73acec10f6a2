//! Standard output: JSON for machines; for people, colour and width only where there is a terminal.

use std::env;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use super::pager::Pager;
use crate::config::steers;

/// Where a command prints.
pub struct Screen {
    out: BufWriter<Box<dyn Write>>,
    json: bool,
    colour: bool,
    width: Option<usize>,
    terminal: bool,
    pager: Option<Pager>,
}

/// What a piece of text means; how that looks is decided here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Look at this.
    Warn,
    /// Wrong, refused.
    Bad,
    /// A heading.
    Head,
    /// Less important.
    Dim,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Head => "1",
            Self::Dim => "2",
        }
    }
}

impl Screen {
    /// The process's standard output.
    pub fn stdout(json: bool) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            colour: terminal && wants_colour(),
            width: terminal.then(terminal_width).flatten(),
            out: BufWriter::new(Box::new(stdout)),
            json,
            terminal,
            pager: None,
        }
    }

    /// From here on people on a terminal read in a pager; machines and pipes notice nothing.
    pub(super) fn page(&mut self) -> io::Result<()> {
        if self.terminal && !self.json && self.pager.is_none() {
            self.out.flush()?;
            if let Some((pager, input)) = Pager::start() {
                self.pager = Some(pager);
                self.out = BufWriter::new(Box::new(input));
            }
        }
        Ok(())
    }

    /// Whether somebody looks at it.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether machine output was asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Characters that fit on a line, where that is known.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// `text` dressed for its meaning.
    pub fn tinted(&self, text: &str, tone: Tone) -> String {
        match tone.code() {
            code if self.colour && !code.is_empty() && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// One line.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// One JSON document on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// Bytes as they are; for what a terminal must not see, the caller has seen to that.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// What was printed so far is out.
    pub(super) fn show(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Everything out; only now is it known that it arrived.
    pub(super) fn flush(&mut self) -> Result<(), super::Failure> {
        let flushed = self.out.flush();
        self.leave_pager();
        Ok(flushed?)
    }

    /// Tells the pager that there is no more, and waits until it was read.
    fn leave_pager(&mut self) {
        if let Some(mut pager) = self.pager.take() {
            self.out = BufWriter::new(Box::new(io::sink()));
            pager.wait();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave_pager();
    }
}

/// What was recorded may hold anything; a terminal must not obey it.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    clean
}

/// The same on one line: runs of blanks and line ends become one blank.
pub(super) fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn wants_colour() -> bool {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

fn terminal_width() -> Option<usize> {
    let told = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.or_else(asked).filter(|width| *width > 0)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is printed.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        pub(in crate::cli) fn screen(&self, json: bool, width: Option<usize>) -> Screen {
            let out = BufWriter::new(Box::new(self.clone()) as Box<dyn Write>);
            Screen { out, json, colour: false, width, terminal: false, pager: None }
        }

        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(printable("a\x1b[31mb"), r"a\u{1b}[31mb");
        assert_eq!(printable("a\nb\u{202e}c"), r"a\nb\u{202e}c");
        assert_eq!(printable("déjà vu"), "déjà vu");
    }

    #[test]
    fn colour_only_where_wanted() {
        let mut screen = Paper::default().screen(false, None);
        assert_eq!(screen.tinted("x", Tone::Bad), "x");
        screen.colour = true;
        assert_eq!(screen.tinted("x", Tone::Bad), "\x1b[31mx\x1b[0m");
        assert_eq!(screen.tinted("x", Tone::Plain), "x");
    }
}
