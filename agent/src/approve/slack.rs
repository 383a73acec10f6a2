//! Buttons pressed in a chat: Slack's signed interactive payloads (signature version v0), and whoever sends the like.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::link::Choice;
use super::secret::Secret;

/// How old a request may be, or how far ahead of this clock.
const WINDOW: Duration = Duration::from_secs(300);
/// Signatures remembered; with more within the window nothing is taken.
const MOST_SEEN: usize = 4096;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not signed with the secret.
    #[error("the signature is wrong")]
    Signature,
    /// Its time is not now.
    #[error("the request is too old, or ahead of its time")]
    Time,
    /// It came before.
    #[error("the request came before")]
    Replay,
    /// It is no such payload.
    #[error("the payload is not understood")]
    Payload,
    /// Nobody is known by that id.
    #[error("nobody is known by that user id")]
    Stranger,
}

/// A button that was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Which request.
    pub id: String,
    /// By whom, a name of this host.
    pub person: String,
    /// Which button.
    pub choice: Choice,
}

/// Checks what comes in.
pub struct Chat {
    secret: Secret,
    people: BTreeMap<String, String>,
    seen: VecDeque<(i64, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Payload {
    user: User,
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    value: String,
}

impl Chat {
    /// Takes what is signed with `secret`; `people` are user ids with names of this host.
    #[must_use]
    pub fn new(secret: Secret, people: BTreeMap<String, String>) -> Self {
        Self { secret, people, seen: VecDeque::new() }
    }

    /// The button in a request that came now, in seconds since 1970.
    ///
    /// # Errors
    /// When it cannot be believed or understood, or nobody is known by the user's id.
    pub fn read(&mut self, timestamp: &str, signature: &str, body: &[u8], now: i64) -> Result<Pressed, Refused> {
        let sent: i64 = timestamp.parse().map_err(|_| Refused::Time)?;
        let given = signature.strip_prefix("v0=").and_then(unhex).ok_or(Refused::Signature)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.bytes()).map_err(|_| Refused::Signature)?;
        mac.update(format!("v0:{timestamp}:").as_bytes());
        mac.update(body);
        mac.verify_slice(&given).map_err(|_| Refused::Signature)?;
        let window = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
        if now.abs_diff(sent) > WINDOW.as_secs() {
            return Err(Refused::Time);
        }
        // One may be as far ahead of this clock as the other is behind it.
        while self.seen.front().is_some_and(|(seen, _)| now.saturating_sub(*seen) > 2 * window) {
            self.seen.pop_front();
        }
        if self.seen.len() >= MOST_SEEN || self.seen.iter().any(|(_, seen)| *seen == given) {
            return Err(Refused::Replay);
        }
        self.seen.push_back((now, given));
        self.understand(body)
    }

    fn understand(&self, body: &[u8]) -> Result<Pressed, Refused> {
        let text = form_field(body, "payload").ok_or(Refused::Payload)?;
        let payload: Payload = serde_json::from_str(&text).map_err(|_| Refused::Payload)?;
        let [action] = payload.actions.as_slice() else { return Err(Refused::Payload) };
        let choice = match action.action_id.as_str() {
            "approve" => Choice::Approve,
            "deny" => Choice::Deny,
            _ => return Err(Refused::Payload),
        };
        let person = self.people.get(&payload.user.id).ok_or(Refused::Stranger)?;
        Ok(Pressed { id: action.value.clone(), person: person.clone(), choice })
    }
}

/// One field of `application/x-www-form-urlencoded`.
pub(super) fn form_field(body: &[u8], name: &str) -> Option<String> {
    let mut fields = body.split(|byte| *byte == b'&');
    let value = fields.find_map(|field| field.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(byte) = rest.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [*rest.next()?, *rest.next()?];
                *unhex(std::str::from_utf8(&digits).ok()?)?.first()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(plain).ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

    fn chat() -> Chat {
        Chat::new(Secret::of(SECRET), [("U1".to_owned(), "ada".to_owned())].into())
    }

    fn signed(timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("v0:{timestamp}:{body}").as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("v0={hex}")
    }

    fn body(user: &str, action: &str) -> String {
        let json = format!(
            r#"{{"type":"block_actions","user":{{"id":"{user}"}},"actions":[{{"action_id":"{action}","value":"0123"}}]}}"#
        );
        let encoded: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("payload={encoded}")
    }

    /// The example of Slack's own documentation of signatures.
    #[test]
    fn signatures_are_slacks() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
            channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
            response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
            trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let read = chat().read("1531420618", signature, body.as_bytes(), 1_531_420_618);
        assert_eq!(read, Err(Refused::Payload), "signed well, and no button");
    }

    #[test]
    fn a_button_counts_once_and_now() {
        let mut chat = chat();
        let (sent, approve) = (1_000_000, body("U1", "approve"));
        let mut read = |at: i64, body: &str, now| chat.read(&at.to_string(), &signed(at, body), body.as_bytes(), now);
        let pressed = read(sent, &approve, sent + 300).unwrap();
        assert_eq!((pressed.person.as_str(), pressed.choice, pressed.id.as_str()), ("ada", Choice::Approve, "0123"));
        assert_eq!(read(sent, &approve, sent + 300), Err(Refused::Replay));
        assert_eq!(read(sent + 1, &approve, sent + 302), Err(Refused::Time));
        assert_eq!(read(sent + 900, &approve, sent + 599), Err(Refused::Time));
        assert_eq!(read(sent + 400, &body("U2", "deny"), sent + 400), Err(Refused::Stranger));
        assert_eq!(read(sent + 400, &body("U1", "reboot"), sent + 400), Err(Refused::Payload));
        assert_eq!(read(sent + 400, "payload=%", sent + 400), Err(Refused::Payload));
    }

    #[test]
    fn another_secret_body_or_time_is_refused() {
        let (sent, approve) = (1_000_000, body("U1", "approve"));
        let signature = signed(sent, &approve);
        for (timestamp, signature, body) in [
            ("1000001", signature.as_str(), approve.as_str()),
            ("1000000", signature.as_str(), "payload={}"),
            ("1000000", "v0=", approve.as_str()),
            ("1000000", "v1=00", approve.as_str()),
            ("1000000", signature.trim_start_matches("v0="), approve.as_str()),
        ] {
            assert_eq!(chat().read(timestamp, signature, body.as_bytes(), sent), Err(Refused::Signature));
        }
        assert_eq!(chat().read("now", &signature, approve.as_bytes(), sent), Err(Refused::Time));
    }
}
