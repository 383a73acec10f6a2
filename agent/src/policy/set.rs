//! A set of policies that was checked, and what it says of a question.

use std::fmt;
use std::sync::Arc;

use cedar_policy::{AuthorizationError, Authorizer, Decision as CedarDecision, Effect, PolicyId};
use serde::{Serialize, Serializer};

use super::{
    Action,
    approval::{Approval, Hints},
    check::Finding,
    facts::{self, FactsError, Scene},
    index::{Bucket, Index},
    question::{Asked, Question},
    shape::Reads,
    vocabulary::Vocabulary,
};

/// SHA-256 over a set's files: the same files, the same version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Version(pub(super) [u8; 32]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It may go on.
    Allow,
    /// It may not.
    Deny,
    /// It may once this is approved.
    Hold(Arc<Approval>),
}

/// Why a question has its answer, beside the policies that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The named policies.
    Policies,
    /// No policy permits it.
    NotPermitted,
    /// Nothing is configured: everything is observed.
    Unconfigured,
    /// A field without classification needs no permission.
    Unclassified,
    /// A forbidding policy could not be evaluated, so it holds.
    Unevaluated,
    /// The question itself could not be put.
    Unanswerable,
}

/// What a set says of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What is done.
    pub outcome: Outcome,
    /// Why.
    pub cause: Cause,
    /// Ids of the policies that decided.
    pub policies: Vec<Arc<str>>,
    /// What they tell the client (`@message`).
    pub messages: Vec<Arc<str>>,
    /// Of which set.
    pub version: Version,
    /// For the operator's log: what went wrong meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// As it is recorded.
    #[serde(skip)]
    recorded: Option<Arc<str>>,
}

impl Verdict {
    /// Whether it may go on as it is.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.outcome == Outcome::Allow
    }

    /// What the client is told.
    #[must_use]
    pub fn client_text(&self) -> String {
        let said = self.messages.join("; ");
        match (&self.outcome, said.is_empty()) {
            (Outcome::Hold(approval), true) => format!("this needs the approval of {approval}"),
            (Outcome::Hold(approval), false) => format!("{said}; this needs the approval of {approval}"),
            (_, false) => said,
            (_, true) if self.cause == Cause::NotPermitted => "no policy permits this".to_owned(),
            (_, true) => "a policy forbids this".to_owned(),
        }
    }

    /// For the record, a JSON array: the set's version, then the ids of the policies that decided. `None` where there are
    /// no policies.
    #[must_use]
    pub fn recorded(&self) -> Option<Arc<str>> {
        self.recorded.clone()
    }
}

/// One policy, under the number Cedar knows it by.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: Arc<str>,
    pub(super) message: Option<Arc<str>>,
}

/// Policies that were checked together.
pub struct PolicySet {
    pub(super) rules: Vec<Rule>,
    pub(super) index: Index,
    pub(super) reads: Reads,
    pub(super) version: Version,
    pub(super) warnings: Vec<Finding>,
    pub(super) unconfigured: bool,
}

/// What some buckets say, joined.
#[derive(Default)]
struct Said {
    permits: Vec<usize>,
    forbids: Vec<usize>,
    failed: Vec<usize>,
    errors: Vec<String>,
}

impl Said {
    fn allows(&self) -> bool {
        self.forbids.is_empty() && self.failed.is_empty() && !self.permits.is_empty()
    }
}

impl PolicySet {
    /// What holds where nobody configured anything: everything is observed, nothing denied, nothing classified revealed.
    #[must_use]
    pub fn unconfigured() -> Self {
        Self { unconfigured: true, ..Self::empty() }
    }

    /// No policies: nothing is permitted.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            rules: Vec::new(),
            index: Index::default(),
            reads: Reads::default(),
            version: Version::default(),
            warnings: Vec::new(),
            unconfigured: false,
        }
    }

    /// Digest of its files.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is allowed but suspicious.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The ids of all policies.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_ref())
    }

    /// Whether policies look at anything that time alone changes.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.reads.age || self.reads.lease || self.reads.time != Reads::default().time
    }

    /// The question without what no policy of this set looks at: two questions that are equal then have one answer.
    #[must_use]
    pub fn essence(&self, question: &Question) -> Question {
        let mut essence = question.clone();
        let given = &mut essence.circumstances;
        given.moment = given.moment.only(self.reads.time);
        if !self.reads.age {
            given.age = 0;
        }
        if !self.reads.lease {
            given.lease = None;
        }
        if !self.reads.session {
            given.session = None;
        }
        essence
    }

    /// Decides. The answer depends on the question and the set only.
    #[must_use]
    pub fn judge(&self, question: &Question) -> Verdict {
        self.judge_in(question, |words| Ok(Arc::new(Scene::of(words, question)?)))
    }

    /// The same with the entities of the question, asked for when they are needed.
    pub(super) fn judge_in(
        &self,
        question: &Question,
        scene: impl FnOnce(&Vocabulary) -> Result<Arc<Scene>, FactsError>,
    ) -> Verdict {
        let action = question.asked.action();
        if let Asked::Reveal(reveal) = &question.asked
            && reveal.classes.is_empty()
        {
            return self.verdict(Outcome::Allow, Cause::Unclassified);
        }
        if self.unconfigured {
            let outcome = if action == Action::Reveal { Outcome::Deny } else { Outcome::Allow };
            return self.verdict(outcome, Cause::Unconfigured);
        }
        self.evaluate(question, scene).unwrap_or_else(|error| {
            let mut verdict = self.verdict(Outcome::Deny, Cause::Unanswerable);
            verdict.errors.push(error.to_string());
            verdict
        })
    }

    fn verdict(&self, outcome: Outcome, cause: Cause) -> Verdict {
        let (policies, messages, errors) = (Vec::new(), Vec::new(), Vec::new());
        let recorded = (cause != Cause::Unconfigured).then(|| self.recorded(&policies));
        Verdict { outcome, cause, policies, messages, version: self.version, errors, recorded }
    }

    fn evaluate(
        &self,
        question: &Question,
        scene: impl FnOnce(&Vocabulary) -> Result<Arc<Scene>, FactsError>,
    ) -> Result<Verdict, FactsError> {
        let words = Vocabulary::shared().map_err(|_| FactsError::Vocabulary("schema"))?;
        if let Asked::Execute(execute) = &question.asked {
            facts::check(&question.target, execute, &question.circumstances)?;
        }
        let scene = scene(words)?;
        let buckets = self.index.find(question.asked.action(), &scene, question.subject.workload());
        let ask = |approval: Option<&Approval>| -> Result<Said, FactsError> {
            let request = scene.request(facts::context(words, question, approval, &self.reads)?)?;
            Ok(join(&buckets, &request, &scene))
        };
        let said = ask(None)?;
        if said.allows() {
            return Ok(self.answer(Outcome::Allow, Cause::Policies, &said.permits, said.errors));
        }
        let mut hints = Hints::default();
        buckets.iter().for_each(|bucket| hints.merge(&bucket.hints));
        let needed = match &question.circumstances.approval {
            None => hints.least(|approval| ask(Some(approval)).map(|said| said.allows()))?,
            Some(_) => None,
        };
        let outcome = needed.map_or(Outcome::Deny, |approval| Outcome::Hold(Arc::new(approval)));
        let (cause, deciding) = if !said.failed.is_empty() {
            (Cause::Unevaluated, [said.forbids, said.failed].concat())
        } else if said.forbids.is_empty() {
            (Cause::NotPermitted, Vec::new())
        } else {
            (Cause::Policies, said.forbids)
        };
        Ok(self.answer(outcome, cause, &deciding, said.errors))
    }

    fn answer(&self, outcome: Outcome, cause: Cause, deciding: &[usize], errors: Vec<String>) -> Verdict {
        let mut rules: Vec<&Rule> = deciding.iter().filter_map(|number| self.rules.get(*number)).collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let policies: Vec<_> = rules.iter().map(|rule| Arc::clone(&rule.id)).collect();
        let speaks = outcome != Outcome::Allow;
        let messages = rules.iter().filter(|_| speaks).filter_map(|rule| rule.message.clone()).collect();
        let errors = errors.into_iter().map(|error| self.renamed(error)).collect();
        let recorded = Some(self.recorded(&policies));
        Verdict { outcome, cause, policies, messages, version: self.version, errors, recorded }
    }

    fn recorded(&self, deciding: &[Arc<str>]) -> Arc<str> {
        let version = format!("sha256:{}", self.version);
        let all = std::iter::once(version.as_str()).chain(deciding.iter().map(AsRef::as_ref));
        serde_json::Value::from_iter(all).to_string().into()
    }

    /// Cedar knows policies by number; people by name.
    fn renamed(&self, error: String) -> String {
        let Some((number, rest)) = error
            .split_once("policy `")
            .and_then(|(_, rest)| rest.split_once('`'))
            .map(|(n, rest)| (n.to_owned(), rest))
        else {
            return error;
        };
        match number.parse::<usize>().ok().and_then(|number| self.rules.get(number)) {
            Some(rule) => format!("policy `{}`{rest}", rule.id),
            None => error,
        }
    }
}

fn join(buckets: &[&Bucket], request: &cedar_policy::Request, scene: &Scene) -> Said {
    let authorizer = Authorizer::new();
    let mut said = Said::default();
    for bucket in buckets {
        let response = authorizer.is_authorized(request, &bucket.policies, &scene.entities);
        let reasons = response.diagnostics().reason().filter_map(number);
        match response.decision() {
            CedarDecision::Allow => said.permits.extend(reasons),
            CedarDecision::Deny => said.forbids.extend(reasons),
        }
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(failed) = error;
            let id = failed.policy_id();
            let policy = bucket.policies.policy(id);
            // A permit that fails permits nothing; a forbid that fails must not be skipped.
            if policy.is_none_or(|policy| policy.effect() == Effect::Forbid) {
                said.failed.extend(number(id));
            }
            said.errors.push(error.to_string());
        }
    }
    said
}

fn number(id: &PolicyId) -> Option<usize> {
    AsRef::<str>::as_ref(id).parse().ok()
}
