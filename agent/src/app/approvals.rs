//! The approvals of a running daemon: what approvers ask over their socket, and what a predecessor left waiting.

use super::{AppError, engine::Engine};
use crate::{
    approve::{
        Approver, Chat, Crier, Door, End, Extent, Glass, Grant, Host, Id, Links, Messages, Office, Pending, Receiver,
        Rules, Secret, Settled, Teller, Vote,
    },
    config::Config,
    control::{
        ApprovalLine, ApprovalShown, ApprovalsRequest, ApprovalsResponse, GlassLine, Handler, Peer, Reason, Request,
        Response,
    },
    record::{ApprovalRecord, ApprovalState, Recorder, Store, Timestamps},
};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// Most bytes of approvals in one answer, well under what a line may have.
const PAGE: usize = 32 << 10;
/// Fewest letters by which an approval may be called.
const SHORTEST: usize = 4;

/// The office of a configuration.
pub(super) fn rules(config: &Config) -> Rules {
    let approvals = &config.approvals;
    Rules { expiry: approvals.expiry, per_identity: approvals.max_pending.get() as usize }
}

/// The ways out and in for people who are elsewhere.
pub(super) struct Outside {
    links: Arc<Mutex<Links>>,
    chat: Option<Mutex<Chat>>,
    listener: Option<TcpListener>,
}

impl Outside {
    /// Opens them as configured; the crier is there when somebody is to be told.
    ///
    /// # Errors
    /// When a secret cannot be read, or the address is taken.
    pub(super) async fn open(config: &Config, recorder: &Recorder) -> Result<(Self, Option<Crier>), AppError> {
        let approvals = &config.approvals;
        let read = |path: &Option<std::path::PathBuf>, what| {
            path.as_deref().map(Secret::read).transpose().map_err(AppError::system(what))
        };
        let secret = read(&approvals.webhook_secret, "reading `approvals.webhook_secret`")?;
        let chat = read(&approvals.slack_secret, "reading `approvals.slack_secret`")?;
        let links = Links::new().map_err(|error| AppError::System {
            what: "making a key for links",
            source: std::io::Error::other(error),
        })?;
        let links = Arc::new(Mutex::new(links));
        let timeout = approvals.webhook_timeout;
        let receivers = secret.into_iter().flat_map(|secret| {
            let receiver = move |url: &hyper::Uri| Receiver { url: url.clone(), secret: secret.clone(), timeout };
            approvals.webhooks.iter().map(receiver)
        });
        let messages = Messages::start(receivers.collect(), recorder.clone())
            .map_err(AppError::system("preparing `approvals.webhook`"))?;
        let crier = (!messages.is_empty()).then(|| Crier {
            messages,
            links: Arc::clone(&links),
            base: approvals.link_base.clone(),
            people: approvals.link_people.clone(),
        });
        let listener = match approvals.listen {
            Some(address) => {
                Some(TcpListener::bind(address).await.map_err(AppError::system("listening at `approvals.listen`"))?)
            }
            None => None,
        };
        let chat = chat.map(|secret| Mutex::new(Chat::new(secret, approvals.slack_people.clone())));
        Ok((Self { links, chat, listener }, crier))
    }

    /// Answers, where somebody listens.
    pub(super) async fn serve(self, office: Arc<Office>) {
        let Self { links, chat, listener } = self;
        if let Some(listener) = listener {
            Arc::new(Door { office, host: Host::default(), links, chat }).serve(listener).await;
        }
    }
}

/// The number of the configured group.
///
/// # Errors
/// When the host has none of that name.
pub(super) fn group(config: &Config) -> Result<Option<u32>, AppError> {
    let Some(name) = &config.approvals.group else { return Ok(None) };
    match Host::default().group_id(name) {
        Some(id) => Ok(Some(id)),
        None => Err(AppError::NoGroup(name.clone())),
    }
}

/// Withdraws what a predecessor left waiting: no client waits for it any more.
pub(super) async fn withdraw_left(state: &Path, since: Timestamps, recorder: &Recorder) {
    let state = state.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let all = Store::open_read_only(&state)?.approvals(0, since.wall_ns)?;
        Ok::<_, crate::record::StoreError>(all.into_iter().filter(|one| one.state == "pending").collect::<Vec<_>>())
    });
    let left = match found.await {
        Ok(Ok(left)) => left,
        Ok(Err(error)) => return tracing::error!(%error, "approvals of before cannot be read"),
        Err(error) => return tracing::error!(%error, "reading approvals of before failed inside the daemon"),
    };
    for row in left {
        let (Some(id), Some(digest)) = (bytes(&row.id), bytes(&row.digest)) else { continue };
        let step = ApprovalRecord {
            id,
            session: None,
            n: None,
            state: ApprovalState::Withdrawn,
            digest,
            at: Timestamps::now(),
            by: None,
            reason: Some("the daemon was restarted: no client waits for it".to_owned()),
            data: None,
        };
        if let Err(error) = recorder.approval(step).await {
            tracing::error!(%error, "an approval of before could not be withdrawn");
        }
    }
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits = hex.as_bytes();
    let mut out = [0; N];
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Answers approvers.
pub(super) struct Clerk {
    pub(super) engine: Arc<Engine>,
    pub(super) office: Arc<Office>,
    pub(super) host: Host,
    /// The group whose members may decide, besides root.
    pub(super) group: Option<String>,
}

impl Handler for Clerk {
    async fn handle(&self, peer: &Peer, request: Request) -> Response {
        let Request::Approvals(request) = request else {
            return refused("this socket is for approvals; operators have another");
        };
        let approver = match self.approver(peer).await {
            Ok(approver) => approver,
            Err(message) => return refused(message),
        };
        match self.carry_out(peer, approver, request).await {
            Ok(response) => Response::Approvals(Box::new(response)),
            Err(message) => refused(message),
        }
    }
}

fn refused(message: impl Into<String>) -> Response {
    Response::Refused { message: message.into() }
}

impl Clerk {
    /// Who speaks: root, or a person of the group, whatever they became since they logged in.
    async fn approver(&self, peer: &Peer) -> Result<Approver, String> {
        let (host, uid) = (self.host.clone(), peer.uid);
        let pid = u32::try_from(peer.pid).map_err(|_| "the peer has no process".to_owned())?;
        let found = tokio::task::spawn_blocking(move || host.approver(pid, uid)).await;
        let approver = match found {
            Ok(Ok(approver)) => approver,
            Ok(Err(unknown)) => return Err(unknown.to_string()),
            Err(_) => return Err("looking at the peer failed inside the daemon".to_owned()),
        };
        if !peer.lives() {
            return Err("the process that connected is gone".to_owned());
        }
        let member = self.group.as_ref().is_some_and(|group| approver.groups.contains(group));
        if peer.uid != 0 && !member {
            return Err(format!("{} may not decide about approvals", approver.person.shown()));
        }
        Ok(approver)
    }

    async fn carry_out(
        &self,
        peer: &Peer,
        approver: Approver,
        request: ApprovalsRequest,
    ) -> Result<ApprovalsResponse, String> {
        match request {
            ApprovalsRequest::List { after, settled } => self.page(after.as_deref(), settled),
            ApprovalsRequest::Show { id } => self.shown(&id),
            ApprovalsRequest::Approve { id, extent, reason } => self.approve(approver, &id, extent, reason).await,
            ApprovalsRequest::Deny { id, reason } => {
                let id = self.find(&id)?;
                let effect =
                    self.office.deny(id, &approver, reason.as_str()).await.map_err(|unheard| unheard.to_string())?;
                Ok(ApprovalsResponse::Decided { id: id.to_string(), effect })
            }
            ApprovalsRequest::BreakGlass { whom, seconds, reason } => {
                if peer.uid != 0 {
                    return Err("only root breaks the glass".to_owned());
                }
                if let crate::approve::Whom::Scope(name) = &whom
                    && !self.engine.desk.places().scopes().iter().any(|scope| scope.name == *name)
                {
                    return Err(format!("there is no scope `{name}`"));
                }
                let by = format!("{} (uid 0, process {})", approver.person.shown(), peer.pid);
                let broken = self.office.break_glass(whom, seconds, &by, reason.as_str()).await;
                Ok(ApprovalsResponse::Broken(glass_line(&broken.map_err(|unheard| unheard.to_string())?)))
            }
        }
    }

    async fn approve(
        &self,
        approver: Approver,
        id: &str,
        extent: Extent,
        reason: Option<Reason>,
    ) -> Result<ApprovalsResponse, String> {
        let id = self.find(id)?;
        let vote = Vote { approver, reason: reason.map(String::from) };
        let effect = self.office.approve(id, vote, extent).await.map_err(|unheard| unheard.to_string())?;
        Ok(ApprovalsResponse::Decided { id: id.to_string(), effect })
    }

    fn page(&self, after: Option<&str>, settled: bool) -> Result<ApprovalsResponse, String> {
        let mut lines = lines(&self.office, settled);
        if let Some(after) = after {
            let seen = lines.iter().position(|line| line.id == after).map_or(0, |at| at + 1);
            lines.drain(..seen);
        }
        let (mut room, mut fit) = (PAGE, 0);
        for line in &lines {
            let size = serde_json::to_vec(line).map_err(|error| error.to_string())?.len();
            let Some(left) = room.checked_sub(size) else { break };
            (room, fit) = (left, fit + 1);
        }
        let more = fit < lines.len();
        lines.truncate(fit);
        let break_glass = self.office.broken().iter().map(glass_line).collect();
        Ok(ApprovalsResponse::Page { approvals: lines, more, break_glass })
    }

    fn shown(&self, id: &str) -> Result<ApprovalsResponse, String> {
        let id = self.find(id)?;
        let line = lines(&self.office, true).into_iter().find(|line| line.id == id.to_string());
        let docket = self.office.docket();
        let waiting = docket.one(id).map(|one| (Arc::clone(&one.request), Arc::clone(&one.needs)));
        let over =
            || docket.settled().find(|one| one.id == id).map(|one| (Arc::clone(&one.request), Arc::clone(&one.needs)));
        let (Some(line), Some((request, needs))) = (line, waiting.or_else(over)) else {
            return Err("that is a break-glass, or was granted long ago".to_owned());
        };
        let (about, digest) = (request.about().clone(), request.digest().to_string());
        Ok(ApprovalsResponse::Shown(Box::new(ApprovalShown { line, about, approval: (*needs).clone(), digest })))
    }

    /// The only one whose name begins so.
    fn find(&self, name: &str) -> Result<Id, String> {
        let name = name.to_ascii_lowercase();
        let docket = self.office.docket();
        let mut all: BTreeSet<Id> = docket.pending().iter().map(|one| one.id).collect();
        all.extend(docket.settled().map(|one| one.id));
        all.extend(docket.grants(0).map(|grant| grant.id));
        drop(docket);
        all.extend(self.office.broken().iter().map(|glass| glass.id));
        if name.len() < SHORTEST {
            return Err(format!("give at least {SHORTEST} letters of its name"));
        }
        let mut found = all.into_iter().filter(|id| id.to_string().starts_with(&name));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (Some(_), Some(_)) => Err(format!("several approvals begin with `{name}`; give more of it")),
            (None, _) => Err(format!("no approval begins with `{name}`")),
        }
    }
}

/// Everything there is, what waits first.
fn lines(office: &Office, settled: bool) -> Vec<ApprovalLine> {
    let now = Timestamps::now();
    let docket = office.docket();
    let mut lines: Vec<ApprovalLine> = docket.pending().into_iter().map(|one| pending_line(one, now)).collect();
    if settled {
        let grants: Vec<&Grant> = docket.grants(now.boot_ns).collect();
        lines.extend(docket.settled().map(|one| settled_line(one, &grants, now)));
    }
    lines
}

fn pending_line(one: &Pending<Teller>, now: Timestamps) -> ApprovalLine {
    let about = one.request.about();
    ApprovalLine {
        id: one.id.to_string(),
        state: ApprovalState::Pending,
        kind: about.kind.clone(),
        requester: about.requester.clone(),
        workload: about.workload.clone(),
        target: about.target.clone(),
        needs: one.needs.to_string(),
        by: one.votes.iter().map(|vote| vote.approver.person.shown().to_owned()).collect(),
        waiting: one.waiters.len(),
        asked: seconds(one.asked, now),
        until: Some(seconds(one.until, now)),
        why: None,
    }
}

fn settled_line(one: &Settled, grants: &[&Grant], now: Timestamps) -> ApprovalLine {
    let about = one.request.about();
    let (state, why) = match &one.end {
        End::Approved(extent) => (ApprovalState::Approved, Some(extent.to_string())),
        End::Denied(_, reason) => (ApprovalState::Denied, reason.clone()),
        End::Expired => (ApprovalState::Expired, None),
        End::Withdrawn(why) => (ApprovalState::Withdrawn, Some(why.clone())),
    };
    let grant = grants.iter().find(|grant| grant.id == one.id);
    ApprovalLine {
        id: one.id.to_string(),
        state,
        kind: about.kind.clone(),
        requester: about.requester.clone(),
        workload: about.workload.clone(),
        target: about.target.clone(),
        needs: one.needs.to_string(),
        by: one.by.clone().into_iter().collect(),
        waiting: 0,
        asked: seconds(one.asked, now),
        until: grant.map(|grant| seconds(grant.until, now)),
        why,
    }
}

/// One break-glass, for people.
pub(super) fn glass_line(glass: &Glass) -> GlassLine {
    GlassLine {
        id: glass.id.to_string(),
        whom: glass.whom.to_string(),
        until: seconds(glass.until, Timestamps::now()),
        by: glass.by.clone(),
        reason: glass.reason.clone(),
    }
}

/// Seconds since 1970 of a boot-time stamp.
fn seconds(boot_ns: u64, now: Timestamps) -> i64 {
    let ahead = i128::from(boot_ns) - i128::from(now.boot_ns);
    i64::try_from((i128::from(now.wall_ns) + ahead).div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_records_are_read_back() {
        assert_eq!(bytes::<2>("00ff"), Some([0, 255]));
        for bad in ["", "00f", "00fff", "zz00", "+1+1"] {
            assert_eq!(bytes::<2>(bad), None, "{bad}");
        }
    }

    #[test]
    fn boot_time_is_told_as_wall_time() {
        let now = Timestamps { wall_ns: 100_000_000_000, boot_ns: 50_000_000_000 };
        assert_eq!(seconds(60_000_000_000, now), 110);
        assert_eq!(seconds(0, now), 50);
    }
}
