//! Data that is copied to the client: masked row by row, whatever the statement's options.

use std::sync::Arc;

use super::{
    fault::Fault,
    hold::Refused,
    masks::{Cover, Covered, Masks, field_type},
    meaning::Meaning,
    talk::Talk,
};
use crate::{
    mask::{FieldType, detect::Context},
    policy::Verdict,
    protocol::postgres::{
        Format,
        copy::{self, Change, CopyResponse, Options, Rows, put_copy_data},
        session::Number,
        sql::{Argument, Copied, Lineage, Output},
    },
    record::Timestamps,
};

/// The longest row, bytes.
const LONGEST: usize = 64 << 20;

/// A COPY to the client that is looked into.
pub(super) struct Copying {
    rows: Rows,
    masks: Masks,
}

/// How rows are written, where that can be told.
pub(super) fn options(copied: &Copied, encoding: &str) -> Option<Options> {
    let pairs = copied.options.iter().map(|(name, argument)| {
        let argument = match argument {
            Argument::Absent => copy::options::Argument::Absent,
            Argument::Text(text) => copy::options::Argument::Text(text),
            Argument::Star => copy::options::Argument::Star,
            // What no option takes is refused as a list where one is not taken.
            Argument::List | Argument::Other => copy::options::Argument::List,
        };
        (name.as_str(), argument)
    });
    let options = Options::from_pairs(encoding, pairs).ok()?;
    (!options.null_hides_a_value()).then_some(options)
}

impl Talk<'_> {
    /// Why what a request copies to the client cannot be masked, where it has to be.
    pub(super) fn uncopiable(&mut self, meaning: &Meaning, verdict: &Arc<Verdict>) -> Option<Refused> {
        let encoding = self.naming.encoding().cloned();
        for (copied, output) in meaning.copied.iter().zip(&meaning.outputs) {
            let Some(copied) = copied else { continue };
            if encoding.as_deref().and_then(|encoding| options(copied, encoding)).is_none()
                && self.looks_into(Some(output))
            {
                let text = "this COPY is written in a way that cannot be masked; leave its options out, or use SELECT";
                return Some(Refused::by_us(verdict, text.to_owned()));
            }
        }
        None
    }

    /// Data begins to come.
    pub(super) fn copies(&mut self, number: Option<Number>, response: &CopyResponse<'_>) -> Result<(), Fault> {
        let Some(open) = number.and_then(|number| self.ledger.open(number)) else { return Ok(()) };
        open.copies = true;
        let (meaning, at, sent) = (Arc::clone(&open.meaning), open.completed, open.changes);
        let encoding = open.encoding.clone();
        let moved = self.has_moved(&meaning, sent);
        let (output, copied) =
            (meaning.outputs.get(at).filter(|_| !moved), meaning.copied.get(at).and_then(Option::as_ref));
        if !self.looks_into(if moved { Some(&Output::Undecided) } else { output }) {
            return Ok(());
        }
        if moved {
            self.tell_of_lost();
        }
        let options = copied.zip(encoding).and_then(|(copied, encoding)| options(copied, &encoding));
        let (Some(copied), Some(options)) = (copied, options) else { return Err(Fault::Uncopiable) };
        options.agree(response)?;
        let count = response.columns.count();
        let masks = self.copied_masks(output, copied, (count, response.format));
        if let Some(open) = number.and_then(|number| self.ledger.open(number)) {
            open.copying = Some(Copying { rows: Rows::new(options, count, LONGEST), masks });
        }
        Ok(())
    }

    /// What is done to each column. Its type is known only where a table's own columns are copied.
    fn copied_masks(&mut self, output: Option<&Output>, copied: &Copied, (count, format): (usize, Format)) -> Masks {
        let now = Timestamps::now();
        let search = !self.classes.detectors().is_empty();
        let lineages = match output {
            Some(Output::Columns(lineages)) if lineages.len() == count => lineages.as_slice(),
            Some(Output::Columns(_) | Output::Undecided | Output::Nothing) | None => &[],
        };
        let columns = (0..count).map(|place| {
            let lineage = lineages.get(place).unwrap_or(&Lineage::Undecided);
            let kind = match lineage {
                Lineage::Of(columns) if copied.table => {
                    let known = self.private.as_ref().unwrap_or(&self.known);
                    columns.first().and_then(|column| known.catalog.type_of(column)).unwrap_or(0)
                }
                Lineage::Of(_) | Lineage::Undecided => 0,
            };
            let cover = match self.copied_cover(lineage, copied.table, now) {
                Cover::Clear if search && !self.is_classified(lineage) => Cover::Search(Context::default()),
                cover @ (Cover::Clear | Cover::Search(_) | Cover::Class(_) | Cover::Whole | Cover::Lost) => cover,
            };
            Covered { cover, kind, format }
        });
        let columns = columns.collect();
        Masks::new(columns, Arc::clone(&self.classes))
    }

    /// Passes data of a COPY; says whether it was seen to.
    pub(super) fn copied(&mut self, number: Option<Number>, data: &[u8], client: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(open) = number.and_then(|number| self.ledger.open(number)) else { return Ok(false) };
        let Some(copying) = &mut open.copying else { return Ok(false) };
        let mut out = Vec::with_capacity(data.len());
        open.masked += copying.push(Some(data), &mut out)?;
        if !out.is_empty() {
            put_copy_data(client, &out);
        }
        Ok(true)
    }

    /// No more data comes.
    pub(super) fn copied_all(&mut self, number: Option<Number>, client: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(open) = number.and_then(|number| self.ledger.open(number)) else { return Ok(()) };
        open.copies = false;
        let Some(mut copying) = open.copying.take() else { return Ok(()) };
        let mut out = Vec::new();
        open.masked += copying.push(None, &mut out)?;
        if !out.is_empty() {
            put_copy_data(client, &out);
        }
        Ok(())
    }
}

impl Copying {
    /// Takes data, or its end; says how many values were masked.
    fn push(&mut self, data: Option<&[u8]>, out: &mut Vec<u8>) -> Result<u64, Fault> {
        let (mut masked, masks) = (0, &self.masks);
        let mut change = |column: usize, value: Option<&[u8]>| {
            let (Some(covered), Some(value)) = (masks.columns().get(column), value) else { return Change::Keep };
            let change = changed(masks, covered, value);
            masked += u64::from(change != Change::Keep);
            change
        };
        match data {
            Some(data) => self.rows.push(data, out, &mut change)?,
            None => self.rows.finish(out, &mut change)?,
        }
        Ok(masked)
    }
}

/// What becomes of one value: one of its type, or null.
fn changed(masks: &Masks, covered: &Covered, value: &[u8]) -> Change {
    let known = field_type(covered.kind) != FieldType::Other;
    match &covered.cover {
        Cover::Clear => Change::Keep,
        // Whatever type it is, what is found in it is text to whoever reads it.
        Cover::Search(_) if covered.format == Format::Text => match masks.found(value) {
            Some(text) => Change::Value(text),
            None => Change::Keep,
        },
        Cover::Search(_) => masks.found(value).map_or(Change::Keep, |_| Change::Null),
        Cover::Class(_) | Cover::Whole if known => match masks.cell(covered, value) {
            Ok(Some(Some(value))) => Change::Value(value.into_owned()),
            Ok(Some(None) | None) | Err(_) => Change::Null,
        },
        Cover::Class(_) | Cover::Whole | Cover::Lost => Change::Null,
    }
}
