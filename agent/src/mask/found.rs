//! Masks what detectors find inside values of no class.

use super::classes::Classes;
use super::detect::{Context, Detector, Hit, Piece, Stream, detect_in};
use super::field::FieldType;
use super::value::{Masked, mask};

/// What stands for a value in the middle of a text where its function gives none.
const HIDDEN: &[u8] = b"***";

impl Classes {
    /// Masks what is found in a value of no class; `None` when nothing is. In text only what was found is replaced; a
    /// value of another type is masked as a whole, so that it stays one.
    #[must_use]
    pub fn mask_found(&self, context: &Context, field: FieldType, value: &[u8]) -> Option<Masked> {
        if self.detectors().is_empty() {
            return None;
        }
        let hits = detect_in(self.detectors(), context, value);
        let first = hits.first()?;
        match field {
            FieldType::Text => Some(Masked::Text(self.replaced(value, &hits).into())),
            FieldType::Json => {
                let text = self.replaced(value, &hits);
                let whole = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
                // A number in a document has no digits to spare: without it the document would be none.
                let blank =
                    || FieldType::Json.blank().map_or(Masked::Null, |text| Masked::Text(text.as_bytes().into()));
                Some(if whole { Masked::Text(text.into()) } else { blank() })
            }
            FieldType::Int8
            | FieldType::Int16
            | FieldType::Int32
            | FieldType::Int64
            | FieldType::Float32
            | FieldType::Float64
            | FieldType::Numeric
            | FieldType::Bool
            | FieldType::Date
            | FieldType::Time
            | FieldType::Timestamp
            | FieldType::TimestampTz
            | FieldType::Interval
            | FieldType::Uuid
            | FieldType::Bytes
            | FieldType::Inet
            | FieldType::Other => {
                let class = hits
                    .iter()
                    .filter_map(|hit| self.of_hit(hit.detector))
                    .min_by(|a, b| a.rule().function().by_strictness(b.rule().function()));
                let class = class.or_else(|| self.of_hit(first.detector))?;
                Some(mask(class.rule(), field, value))
            }
        }
    }

    fn replaced(&self, value: &[u8], hits: &[Hit]) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        let mut at = 0;
        for hit in hits {
            out.extend_from_slice(value.get(at..hit.range.start).unwrap_or_default());
            self.replace(hit.detector, value.get(hit.range.clone()).unwrap_or_default(), &mut out);
            at = hit.range.end;
        }
        out.extend_from_slice(value.get(at..).unwrap_or_default());
        out
    }

    /// Appends what stands for one value that was found.
    fn replace(&self, detector: Detector, value: &[u8], out: &mut Vec<u8>) {
        let masked = self.of_hit(detector).map(|class| mask(class.rule(), FieldType::Text, value));
        out.extend_from_slice(masked.as_ref().and_then(Masked::text).unwrap_or(HIDDEN));
    }

    /// Appends a piece of a [`Stream`] of a text, masked where it has to be.
    pub fn mask_piece(&self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Clear(text) => out.extend_from_slice(text),
            Piece::Found { detector, value, .. } => self.replace(*detector, value, out),
        }
    }

    /// A text that arrives in pieces, in a field of that name.
    #[must_use]
    pub fn stream(&self, context: Context) -> Stream {
        Stream::new(*self.detectors(), context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::{Key, classes::check};
    use crate::policy::Source;

    fn classes() -> Classes {
        let text = "[class.pan]\nmask = \"keep-last\"\nkeep = 4\ndetect = \"pan\"\n\
                    [class.mail]\nmask = \"null\"\ndetect = \"email\"\n\
                    [class.x]\nmask = \"constant\"\nvalue = 'a\"b'\ndetect = \"iban\"\n";
        let source = Source { name: "a.toml".to_owned(), text: text.to_owned() };
        check(&[source], &Key::new([1; 32])).unwrap_or_else(|findings| panic!("{}", findings[0]))
    }

    #[test]
    fn only_what_is_found_is_replaced() {
        let classes = classes();
        let masked = |field, value: &str| {
            let masked = classes.mask_found(&Context::default(), field, value.as_bytes())?;
            Some(String::from_utf8(masked.text().unwrap_or(b"NULL").to_vec()).unwrap())
        };
        assert_eq!(masked(FieldType::Text, "order 7 of ada"), None);
        assert_eq!(
            masked(FieldType::Text, "card 4111 1111 1111 1111 of ada@example.org, r\u{fc}ckfrage").as_deref(),
            Some("card ***1111 of ***, r\u{fc}ckfrage")
        );
        assert_eq!(masked(FieldType::Int64, "4111111111111111").as_deref(), Some("1111"));
        assert_eq!(masked(FieldType::Json, "{\"m\":\"ada@example.org\"}").as_deref(), Some("{\"m\":\"***\"}"));
        assert_eq!(masked(FieldType::Json, "{\"c\":\"4111111111111111\"}").as_deref(), Some("{\"c\":\"***1111\"}"));
        // What would break the document takes all of it.
        assert_eq!(masked(FieldType::Json, "{\"c\":4111111111111111}").as_deref(), Some("\"***\""));
        assert_eq!(masked(FieldType::Json, "[\"DE89370400440532013000\"]").as_deref(), Some("\"***\""));
    }
}
