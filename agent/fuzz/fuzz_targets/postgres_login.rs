//! A server that Sallyport logs in to: whatever it says, from the start or in the middle of a login, without the right
//! signature there is no session, and the password is told to nobody.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sallyport::protocol::postgres::{
    Backend, Frame, Framer, Limits,
    login::{Account, Login, Method, Password, Step, Wire},
    startup::Start,
};

const PASSWORD: &[u8] = b"pencil";
const OFFER: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
/// What continues the nonce of eighteen sevens, as the server's own words.
const CHALLENGE: &[u8] = b"r=BwcHBwcHBwcHBwcHBwcHBwcHserver,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096";
/// What only a server can say that knows the password: of this nonce, salt and challenge, in clear.
const SIGNATURE: &[u8] = b"v=FjSTY/sk6+bjAZBk6vWh/CBVfxFhrFnGzsdEXbNcshg=";
const CONTENT: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";

fn sasl(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + data.len()).expect("it is short").to_be_bytes();
    [b"R", &length[..], &[0, 0, 0, kind], data].concat()
}

/// As far as a door is good for: more iterations take longer, and do nothing else.
fn is_quick(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message);
    let asked = text.rsplit(",i=").next().and_then(|number| number.trim_end_matches('\0').parse::<u32>().ok());
    asked.is_none_or(|count| count <= 4096)
}

/// What a server says, message by message; whether there was a session in the end.
fn logs_in(said: &[u8], accept: Vec<Method>) -> bool {
    let password = Password::new(PASSWORD.to_vec());
    let account = Account { role: "app".to_owned(), password, accept, set_role: None };
    let mut kept = Vec::new();
    let start = Start::new(0, [(&b"user"[..], &b"ada"[..])].into_iter(), &mut kept).expect("it is one");
    let (mut login, _) = Login::begin(account, Wire::Clear, &start, Some("tag"), [7; 18]).expect("it begins");
    let mut framer = Framer::backend(Limits::default());
    let mut rest = said;
    while let Ok(Some(frame)) = framer.next(rest) {
        let consumed = frame.consumed();
        let Frame::Message { tag, body, .. } = frame else { return false };
        let Ok(message) = Backend::decode(tag, body) else { return false };
        if !is_quick(body) {
            return false;
        }
        let Ok(mut step) = login.receive(&message) else { return false };
        if let Step::Run(work) = step {
            step = login.worked(work.run()).expect("it was asked for");
        }
        match step {
            Step::Done(_) => return true,
            Step::Send(bytes) => assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD)),
            Step::Read | Step::Run(_) => {}
        }
        rest = &rest[consumed..];
    }
    false
}

/// Whoever does know is let in: otherwise all of this would show nothing.
static RIGHT: LazyLock<()> = LazyLock::new(|| {
    let right = [OFFER, &sasl(11, CHALLENGE), &sasl(12, SIGNATURE), CONTENT, READY].concat();
    assert!(logs_in(&right, vec![Method::Scram]));
});

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, bytes)) = bytes.split_first() else { return };
    let (challenge, proof) = (sasl(11, CHALLENGE), sasl(12, SIGNATURE));
    // How much of a login a server that knows nothing is given for nothing.
    let begun: &[&[u8]] = match mode % 4 {
        0 => &[],
        1 => &[OFFER],
        2 => &[OFFER, &challenge],
        _ => &[OFFER, &challenge, &proof],
    };
    let knows = mode % 4 == 3 || bytes.windows(SIGNATURE.len()).any(|part| part == SIGNATURE);
    let said = [&begun.concat(), bytes].concat();
    assert!(!logs_in(&said, vec![Method::Scram]) || knows);
    // In clear, nothing else may be asked for either, whatever the account accepts.
    let all = vec![Method::Scram, Method::Md5, Method::Password];
    assert!(!logs_in(&said, all) || knows);
    LazyLock::force(&RIGHT);
});
