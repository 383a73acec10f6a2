//! Comma-separated values by RFC 4180, which a spreadsheet may open.

use std::borrow::Cow;

use serde_json::Value;

/// One line, with its end.
pub(in crate::cli) fn line<'a>(fields: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|field| quoted(&field)).collect();
    format!("{}\r\n", fields.join(","))
}

/// A value as a field; nothing at all for null.
pub(in crate::cli) fn field(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => defused(text),
        Value::Bool(_) | Value::Number(_) => Cow::Owned(value.to_string()),
        Value::Array(_) | Value::Object(_) => Cow::Owned(defused(&value.to_string()).into_owned()),
    }
}

/// Text that a spreadsheet would take for a formula gets an apostrophe, which it takes for "this is text".
pub(in crate::cli) fn defused(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) || field.starts_with(' ') || field.ends_with(' ') {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn written(values: &[Value]) -> String {
        line(values.iter().map(field))
    }

    /// What a reader of RFC 4180 makes of it.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\r' if !quoted && chars.peek() == Some(&'\n') => {
                    chars.next();
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                c => field.push(c),
            }
        }
        rows
    }

    #[test]
    fn fields() {
        let values =
            [json!(null), json!("a,b"), json!("say \"x\""), json!(-5), json!("-5"), json!("=1+1"), json!(["a"])];
        assert_eq!(written(&values), ",\"a,b\",\"say \"\"x\"\"\",-5,'-5,'=1+1,\"[\"\"a\"\"]\"\r\n");
        assert_eq!(
            written(&[json!("two\nlines"), json!("\tx"), json!("@SUM(A1)")]),
            "\"two\nlines\",'\tx,'@SUM(A1)\r\n"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_never_a_formula(texts in proptest::collection::vec(".*", 1..5)) {
            let values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
            let rows = read(&written(&values));
            prop_assert_eq!(rows.len(), 1);
            for (field, text) in rows[0].iter().zip(&texts) {
                prop_assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']));
                prop_assert_eq!(field.strip_prefix('\'').filter(|rest| *rest == text).unwrap_or(field), text);
            }
        }
    }
}
