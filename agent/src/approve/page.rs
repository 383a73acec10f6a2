//! What somebody sees who follows a link, and what a webhook is told.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::docket::{End, Pending, Settled};
use super::link::{Choice, Ticket};
use super::request::About;

/// A link of one person, both ways.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// Whose.
    pub(super) person: String,
    /// Where they say yes.
    pub(super) approve: String,
    /// Where they say no.
    pub(super) deny: String,
}

/// The page that asks whether it is meant: only its button decides.
pub(super) fn confirm(ticket: &Ticket, about: &About, needs: &str) -> String {
    let (title, button) = match ticket.choice {
        Choice::Approve => ("Approve this?", "Approve"),
        Choice::Deny => ("Deny this?", "Deny"),
    };
    let mut rows = String::new();
    let user = about.user.clone().unwrap_or_else(|| about.uid.to_string());
    for (name, value) in [
        ("What", Some(about.kind.as_str())),
        ("Where", Some(about.target.as_str())),
        ("Address", Some(about.address.as_str())),
        ("Statement", about.statement.as_deref()),
        ("Role", about.role.as_deref()),
        ("Who", Some(about.requester.as_str())),
        ("Workload", Some(about.workload.as_str())),
        ("Person", about.person.as_deref()),
        ("Login", about.login_user.as_deref()),
        ("User", Some(user.as_str())),
        ("Program", about.executable.as_deref()),
        ("Needs", Some(needs)),
        ("You", Some(ticket.person.as_str())),
    ] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(rows, "<tr><th>{name}</th><td>{}</td></tr>", escaped(value));
        }
    }
    document(&format!(
        "<h1>{title}</h1><table>{rows}</table><form method=\"post\">\
        <p><label>Reason <input name=\"reason\" maxlength=\"1000\"></label></p><button>{button}</button></form>"
    ))
}

/// A page with one sentence.
pub(super) fn say(text: &str) -> String {
    document(&format!("<p>{}</p>", escaped(text)))
}

fn document(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sallyport</title><body>{body}</body></html>"
    )
}

/// Text in HTML. What would turn the direction of text, or is not to be seen, is shown as what it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if crate::config::steers(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// The message that something waits. Its text and blocks are what a Slack channel shows, with buttons.
pub(super) fn waits<W>(pending: &Pending<W>, expires: i64, links: &[Pair]) -> Value {
    let about = pending.request.about();
    let (id, needs) = (pending.id.to_string(), pending.needs.to_string());
    let text = format!(
        "{} asks to {} {} and needs the approval of {needs}",
        marked(&about.requester),
        marked(&about.kind),
        marked(&about.target)
    );
    let button = |action: &str, text: &str, style: &str| {
        json!({
            "type": "button", "action_id": action, "value": id, "style": style,
            "text": { "type": "plain_text", "text": text },
        })
    };
    let statement = about.statement.as_ref().map(|statement| {
        let shown = statement.chars().take(1000).collect::<String>();
        json!({ "type": "section", "text": { "type": "plain_text", "text": shown } })
    });
    let head = json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let buttons = [button("approve", "Approve once", "primary"), button("deny", "Deny", "danger")];
    let actions = json!({ "type": "actions", "elements": buttons });
    let blocks: Vec<Value> = [Some(head), statement, Some(actions)].into_iter().flatten().collect();
    let links = links.iter().map(|pair| json!({ "person": pair.person, "approve": pair.approve, "deny": pair.deny }));
    json!({
        "type": "approval.pending",
        "id": id,
        "asked": about,
        "needs": &*pending.needs,
        "digest": pending.request.digest(),
        "expires": expires,
        "links": links.collect::<Vec<_>>(),
        "text": text,
        "blocks": blocks,
    })
}

/// The message that something was settled.
pub(super) fn settled(settled: &Settled) -> Value {
    let (state, reason) = match &settled.end {
        End::Approved(extent) => ("approved", Some(extent.to_string())),
        End::Denied(_, reason) => ("denied", reason.clone()),
        End::Expired => ("expired", None),
        End::Withdrawn(why) => ("withdrawn", Some(why.clone())),
    };
    let about = settled.request.about();
    let by = settled.by.as_ref().map(|by| format!(" by {}", marked(by))).unwrap_or_default();
    let text =
        format!("{state}{by}: {} to {} {}", marked(&about.requester), marked(&about.kind), marked(&about.target));
    json!({
        "type": "approval.settled",
        "id": settled.id.to_string(),
        "state": state,
        "by": settled.by,
        "reason": reason,
        "text": text,
    })
}

/// Text in Slack's markup: its three control characters, and those that make text bold or a name.
fn marked(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(300) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' | '*' | '_' | '~' | '@' => out.extend([c, '\u{200b}']),
            c if crate::config::steers(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_asked_becomes_markup() {
        let shown = say("<script>\"'&\u{202e}\n");
        assert!(shown.contains("<p>&lt;script&gt;&quot;&#39;&amp;\\u{202e}\\u{a}</p>"), "{shown}");
        assert_eq!(marked("<!channel> & *"), "&lt;!channel&gt; &amp; *\u{200b}");
    }
}
