//! Aligned columns, cut to the terminal where there is one.

use std::io;

use super::screen::{Screen, Tone, printable};

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// To the left, never cut.
    Left(&'static str),
    /// To the right, never cut.
    Right(&'static str),
    /// To the left, cut when the line is too long.
    Cut(&'static str),
}

/// One field.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text with a meaning; control characters are made harmless.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: printable(text.as_ref()), tone }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Least a cut column keeps.
const LEAST: usize = 12;
/// Between columns.
const GAP: &str = "  ";

/// Prints `rows` under the titles of `columns`.
pub fn print<const N: usize>(screen: &mut Screen, columns: [Column; N], rows: Vec<[Cell; N]>) -> io::Result<()> {
    let mut widths = columns.map(|column| column.title().chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    fit(screen.width(), &columns, &mut widths);
    let head = columns.map(|column| Cell::new(column.title(), Tone::Head));
    for row in std::iter::once(head).chain(rows) {
        let mut line = String::new();
        let last = N.saturating_sub(1);
        for (index, ((column, cell), width)) in columns.iter().zip(row).zip(widths).enumerate() {
            let text = cut(&cell.text, width);
            let padding = " ".repeat(width - text.chars().count());
            let text = screen.tinted(&text, cell.tone);
            match column {
                Column::Right(_) => line.extend([padding.as_str(), &text]),
                Column::Left(_) | Column::Cut(_) if index == last => line.push_str(&text),
                Column::Left(_) | Column::Cut(_) => line.extend([text.as_str(), &padding]),
            }
            if index < last {
                line.push_str(GAP);
            }
        }
        screen.line(line.trim_end())?;
    }
    Ok(())
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Left(title) | Self::Right(title) | Self::Cut(title) => title,
        }
    }
}

/// Takes from the widest of the columns that may be cut until the line fits.
fn fit(room: Option<usize>, columns: &[Column], widths: &mut [usize]) {
    let Some(room) = room else { return };
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
    while excess > 0 {
        let widest = columns
            .iter()
            .zip(widths.iter_mut())
            .filter(|(column, width)| matches!(column, Column::Cut(_)) && **width > LEAST)
            .map(|(_, width)| width)
            .max();
        let Some(width) = widest else { return };
        *width -= 1;
        excess -= 1;
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::Paper;
    use super::*;

    fn printed(width: Option<usize>) -> String {
        let paper = Paper::default();
        let mut screen = paper.screen(false, width);
        let rows = vec![
            ["a".into(), "1".into(), "/usr/lib/postgresql/15/bin/postgres".into()],
            ["bbb".into(), "1000".into(), "x\x1b[0m".into()],
        ];
        print(&mut screen, [Column::Left("ID"), Column::Right("N"), Column::Cut("PROGRAM")], rows).unwrap();
        screen.flush().unwrap();
        paper.text()
    }

    #[test]
    fn columns_align() {
        let expected = "\
ID      N  PROGRAM
a       1  /usr/lib/postgresql/15/bin/postgres
bbb  1000  x\\u{1b}[0m
";
        assert_eq!(printed(None), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts() {
        for width in [25, 30, 40] {
            assert!(printed(Some(width)).lines().all(|line| line.chars().count() <= width), "{width}");
        }
        assert!(printed(Some(25)).contains("/usr/lib/pos") || printed(Some(25)).contains('…'));
        // Too narrow for the columns that are never cut: complete rather than wrong.
        assert!(printed(Some(5)).contains("1000"));
    }
}
