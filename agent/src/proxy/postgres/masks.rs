//! What is masked of a result's rows: decided once a result, done cell by cell.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use crate::{
    mask::{Class, Classes, FieldType, Function, Key, Masked, Rule, detect::Context, mask},
    protocol::postgres::{
        Format, Oid,
        rows::{Row, try_put_row},
        value::{Leaf, ValueError, rewrite},
    },
};

/// What is redacted says nothing, so no key goes into it.
static REDACT: LazyLock<Rule> = LazyLock::new(|| Rule::new(Function::Redact, "", &Key::new([0; 32])));

/// What is done to the values of one column.
#[derive(Clone, Debug)]
pub(super) enum Cover {
    /// Nothing.
    Clear,
    /// What detectors find in them is masked.
    Search(Context),
    /// They are masked as their class says.
    Class(Arc<Class>),
    /// Nothing of them may be seen: what they are made of is protected, or cannot be told.
    Whole,
    /// What it was read by does not hold any more: it is not given, whatever it is. A value in its place would be taken for one.
    Lost,
}

/// A column of a result, with what is done to it.
#[derive(Clone, Debug)]
pub(super) struct Covered {
    pub(super) cover: Cover,
    pub(super) kind: Oid,
    pub(super) format: Format,
}

/// What is done to a result's rows.
#[derive(Debug)]
pub(super) struct Masks {
    columns: Vec<Covered>,
    classes: Arc<Classes>,
    busy: bool,
    /// What is done to rows that are kept, where the client sees more.
    kept: Option<Box<Masks>>,
}

/// A cell in place of another; `None` is null.
type Instead = Option<Cow<'static, [u8]>>;

impl Masks {
    pub(super) fn new(columns: Vec<Covered>, classes: Arc<Classes>) -> Self {
        let busy = columns.iter().any(|column| !matches!(column.cover, Cover::Clear));
        Self { columns, classes, busy, kept: None }
    }

    /// The same, with this done to rows that are kept.
    pub(super) fn keeping(self, columns: Vec<Covered>) -> Self {
        let kept = Some(Box::new(Self::new(columns, Arc::clone(&self.classes))));
        Self { kept, ..self }
    }

    /// What is done to rows that are kept, where that is more.
    pub(super) fn kept(&self) -> Option<&Self> {
        self.kept.as_deref()
    }

    /// Whether rows are to be looked into at all.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Appends a row whose message is `bytes`, masked; says how many values were.
    ///
    /// # Errors
    /// A cell that cannot be read: nothing of the row may be passed.
    pub(super) fn row(&self, row: &Row<'_>, bytes: &[u8], out: &mut Vec<u8>) -> Result<u64, ValueError> {
        if row.count() != self.columns.len() {
            return Err(ValueError::Cells);
        }
        let start = out.len();
        let mut masked = 0;
        let outcome = try_put_row(
            out,
            row.cells().zip(&self.columns).map(|(cell, column)| {
                let Some(cell) = cell else { return Ok(None) };
                Ok(match self.cell(column, cell)? {
                    None => Some(Cow::Borrowed(cell)),
                    Some(instead) => {
                        masked += 1;
                        instead
                    }
                })
            }),
        );
        if outcome.is_err() || masked == 0 {
            out.truncate(start);
        }
        outcome?;
        if masked == 0 {
            out.extend_from_slice(bytes);
        }
        Ok(masked)
    }

    /// One value of a column, masked; `None` if it stays as it is.
    ///
    /// # Errors
    /// A value that cannot be read.
    pub(super) fn cell(&self, column: &Covered, cell: &[u8]) -> Result<Option<Instead>, ValueError> {
        match &column.cover {
            Cover::Clear => Ok(None),
            Cover::Class(class) => self.ruled(class.rule(), column, cell).map(Some),
            Cover::Whole => self.ruled(&REDACT, column, cell).map(Some),
            Cover::Lost => Ok(Some(None)),
            Cover::Search(context) => self.searched(context, column, cell),
        }
    }

    /// Each column, in order.
    pub(super) fn columns(&self) -> &[Covered] {
        &self.columns
    }

    /// A text with what is found in it masked; `None` if nothing is.
    pub(super) fn found(&self, text: &[u8]) -> Option<Vec<u8>> {
        let found = self.classes.mask_found(&Context::default(), FieldType::Text, text)?;
        Some(found.text().unwrap_or_default().to_vec())
    }

    fn ruled(&self, rule: &Rule, column: &Covered, cell: &[u8]) -> Result<Instead, ValueError> {
        if is_text(column.kind) {
            return Ok(mask(rule, FieldType::Text, cell).into_text());
        }
        let mut change = |leaf: Leaf<'_>| text_of(&mask(rule, field_type(leaf.oid), leaf.text.as_bytes()));
        match rewrite(column.kind, column.format, cell, &mut change) {
            // A type somebody made: only null is a value of every type.
            Err(ValueError::Unknown(_)) => Ok(None),
            rewritten => Ok(rewritten?.map(Cow::Owned)),
        }
    }

    fn searched(&self, context: &Context, column: &Covered, cell: &[u8]) -> Result<Option<Instead>, ValueError> {
        if is_text(column.kind) {
            let found = self.classes.mask_found(context, FieldType::Text, cell);
            return Ok(found.map(Masked::into_text));
        }
        let mut found = false;
        let mut change = |leaf: Leaf<'_>| {
            let masked = self.classes.mask_found(context, field_type(leaf.oid), leaf.text.as_bytes());
            found |= masked.is_some();
            masked.map_or_else(|| Some(leaf.text.to_owned()), |masked| text_of(&masked))
        };
        match rewrite(column.kind, column.format, cell, &mut change) {
            // A type somebody made, an enumeration mostly: its text is searched, and what holds something is left out.
            Err(ValueError::Unknown(_)) => {
                let found = self.classes.mask_found(context, FieldType::Text, cell);
                Ok(found.map(|_| None))
            }
            rewritten => rewritten.map(|instead| found.then_some(instead.map(Cow::Owned))),
        }
    }
}

fn text_of(masked: &Masked) -> Option<String> {
    masked.text().and_then(|text| String::from_utf8(text.to_vec()).ok())
}

/// Types whose values are any text, in both formats.
fn is_text(kind: Oid) -> bool {
    matches!(kind, 19 | 25 | 705 | 1042 | 1043)
}

/// The type a masked value has to be of.
pub(super) fn field_type(kind: Oid) -> FieldType {
    match kind {
        16 => FieldType::Bool,
        17 => FieldType::Bytes,
        20 => FieldType::Int64,
        21 => FieldType::Int16,
        23 => FieldType::Int32,
        114 | 3802 => FieldType::Json,
        650 | 869 => FieldType::Inet,
        700 => FieldType::Float32,
        701 => FieldType::Float64,
        1082 => FieldType::Date,
        1083 => FieldType::Time,
        1114 => FieldType::Timestamp,
        1184 => FieldType::TimestampTz,
        1186 => FieldType::Interval,
        1700 => FieldType::Numeric,
        2950 => FieldType::Uuid,
        kind if is_text(kind) => FieldType::Text,
        _ => FieldType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::postgres::rows::put_row;

    fn masks(cover: Cover, kind: Oid, format: Format) -> Masks {
        let clear = Covered { cover: Cover::Clear, kind: 25, format: Format::Text };
        Masks::new(vec![clear, Covered { cover, kind, format }], Arc::new(Classes::empty()))
    }

    fn masked(masks: &Masks, cell: &[u8]) -> Vec<u8> {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        put_row(&mut bytes, [Some(&b"ada"[..]), Some(cell)].into_iter());
        let row = Row::decode(bytes.get(5..).unwrap()).unwrap();
        masks.row(&row, &bytes, &mut out).unwrap();
        out
    }

    #[test]
    fn a_masked_cell_is_of_its_type_and_the_others_stay() {
        for (kind, format, cell, expected) in [
            (25, Format::Text, &b"123-45-6789"[..], Some(&b"***"[..])),
            (23, Format::Text, b"1234", Some(b"0")),
            (23, Format::Binary, &[0, 0, 4, 210], Some(&[0, 0, 0, 0])),
            (1082, Format::Text, b"1999-01-02", Some(b"1970-01-01")),
            (99_999, Format::Text, b"happy", None),
            (1009, Format::Text, b"{a,NULL,b}", Some(b"{***,NULL,***}")),
        ] {
            let mut expect = Vec::new();
            put_row(&mut expect, [Some(&b"ada"[..]), expected].into_iter());
            assert_eq!(masked(&masks(Cover::Whole, kind, format), cell), expect, "{kind}");
        }
    }

    #[test]
    fn what_is_lost_is_null_and_never_a_value() {
        for (kind, format, cell) in [
            (25, Format::Text, &b"ada"[..]),
            (23, Format::Text, b"1234"),
            (23, Format::Binary, &[0, 0, 4, 210]),
            (1082, Format::Text, b"1999-01-02"),
            (99_999, Format::Text, b"happy"),
        ] {
            let mut expect = Vec::new();
            put_row(&mut expect, [Some(&b"ada"[..]), None].into_iter());
            assert_eq!(masked(&masks(Cover::Lost, kind, format), cell), expect, "{kind}");
        }
    }

    #[test]
    fn what_does_not_change_is_passed_as_it_is() {
        for cover in [Cover::Clear, Cover::Search(Context::default())] {
            let masks = masks(cover, 25, Format::Text);
            let mut expect = Vec::new();
            put_row(&mut expect, [Some(&b"ada"[..]), Some(b"lovelace")].into_iter());
            assert_eq!(masked(&masks, b"lovelace"), expect);
        }
    }

    #[test]
    fn a_row_of_other_columns_is_not_passed() {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        put_row(&mut bytes, [Some(&b"ada"[..])].into_iter());
        let row = Row::decode(bytes.get(5..).unwrap()).unwrap();
        assert_eq!(masks(Cover::Whole, 25, Format::Text).row(&row, &bytes, &mut out), Err(ValueError::Cells));
        assert!(out.is_empty());
    }
}
