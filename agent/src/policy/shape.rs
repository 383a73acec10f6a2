//! What can be seen of a policy without evaluating it: whom it is about, which facts it reads, what it says of approvals.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's expressions are an open set: a form that is not named is a form that is not understood"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{EntityUid, pst};
use pst::{ActionConstraint, BinaryOp, Clause, EntityOrSlot, EntityUID, Expr, Literal, UnaryOp, Var};

use super::{Action, Protocol, approval::Hints, moment::Parts, vocabulary::Kind, vocabulary::Vocabulary};

/// Facts that differ between requests that are otherwise the same, and whether anybody looks at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) time: Parts,
    pub(super) age: bool,
    pub(super) lease: bool,
    pub(super) session: bool,
}

impl Reads {
    const ALL: Self = Self {
        time: Parts { hour: true, minute: true, weekday: true, date: true, instant: true },
        age: true,
        lease: true,
        session: true,
    };

    pub(super) fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (&mut self.time, &other.time);
        mine.hour |= theirs.hour;
        mine.minute |= theirs.minute;
        mine.weekday |= theirs.weekday;
        mine.date |= theirs.date;
        mine.instant |= theirs.instant;
        self.age |= other.age;
        self.lease |= other.lease;
        self.session |= other.session;
    }

    /// Notes that something below the context is looked at.
    fn note(&mut self, path: &[&str]) {
        match path {
            [] => *self = Self::ALL,
            ["time"] => self.time = Self::ALL.time,
            ["time", "hour", ..] => self.time.hour = true,
            ["time", "minute", ..] => self.time.minute = true,
            ["time", "weekday", ..] => self.time.weekday = true,
            ["time", "date", ..] => self.time.date = true,
            ["time", "instant", ..] => self.time.instant = true,
            ["identity"] => (self.age, self.lease) = (true, true),
            ["identity", "age", ..] => self.age = true,
            ["identity", "lease", ..] => self.lease = true,
            ["session", ..] => self.session = true,
            _ => {}
        }
    }
}

/// Which principals a policy can be about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum About {
    /// All.
    Any,
    /// Of this kind.
    Kind(Kind),
    /// This, or what is in it.
    Entity(EntityUid),
    /// Those with this value of an attribute.
    Attribute(&'static str, String),
}

/// Attributes of principals by which policies are found.
pub(super) const INDEXED: [&str; 5] = ["spiffe", "unit", "user", "container", "executable"];

/// A word of the policy's text, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Objection {
    pub(super) word: &'static str,
    pub(super) message: &'static str,
    pub(super) help: &'static str,
}

/// What can be seen of a policy.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) permits: bool,
    pub(super) actions: [bool; 3],
    pub(super) principal: About,
    pub(super) resource: About,
    /// The protocols it is about; `None` for all.
    pub(super) protocols: Option<Vec<Protocol>>,
    pub(super) reads: Reads,
    pub(super) hints: Hints,
    pub(super) objections: Vec<Objection>,
    pub(super) body: pst::Policy,
}

impl Shape {
    /// Looks at a policy.
    pub(super) fn of(words: &Vocabulary, body: pst::Policy) -> Self {
        let template = body.body();
        let permits = template.effect == pst::Effect::Permit;
        let conjuncts: Vec<&Expr> = template.clauses().iter().flat_map(conjuncts).collect();
        let mut walk = Walk::default();
        for clause in template.clauses() {
            // More approval has to help: to make a permit's condition true, or a forbid's false.
            let (expr, when) = match clause {
                Clause::When(expr) => (expr, true),
                Clause::Unless(expr) => (expr, false),
            };
            walk.boolean(expr, Some(when == permits));
        }
        let principal = principal(words, &template.principal, &conjuncts);
        let resource = resource(words, &template.resource, &conjuncts);
        let actions = actions(&template.action);
        let protocols = protocols(&template.resource, conjuncts.first().copied())
            .filter(|_| actions.get(Action::Execute as usize).copied().unwrap_or_default());
        let (reads, hints, objections) = (walk.reads, walk.hints, walk.objections);
        Self { permits, actions, principal, resource, protocols, reads, hints, objections, body }
    }

    /// Whether a forbid holds wherever `permit` does, as far as their texts show.
    pub(super) fn covers(&self, permit: &Self) -> bool {
        let (mine, theirs) = (self.body.body(), permit.body.body());
        let actions = self.actions.iter().zip(permit.actions).all(|(mine, theirs)| *mine || !theirs);
        actions
            && (matches!(mine.principal, pst::PrincipalConstraint::Any | pst::PrincipalConstraint::Is(_))
                || mine.principal == theirs.principal)
            && (matches!(mine.resource, pst::ResourceConstraint::Any) || mine.resource == theirs.resource)
            && mine.clauses().iter().all(|clause| theirs.clauses().contains(clause))
    }
}

fn actions(constraint: &ActionConstraint) -> [bool; 3] {
    let named = |uid: &EntityUID, action: Action| uid.eid == action.as_str();
    Action::ALL.map(|action| match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => named(uid, action),
        ActionConstraint::In(all) => all.iter().any(|uid| named(uid, action)),
    })
}

/// The parts of a condition that all have to hold.
fn conjuncts(clause: &Clause) -> Vec<&Expr> {
    let Clause::When(expr) = clause else { return Vec::new() };
    let (mut found, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        match expr.as_ref() {
            Expr::BinaryOp { op: BinaryOp::And, left, right } => open.extend([right, left]),
            other => found.push(other),
        }
    }
    found
}

fn entity(words: &Vocabulary, uid: &EntityUID) -> Option<EntityUid> {
    let kind = kind(&uid.ty)?;
    words.uid(kind, &uid.eid)
}

fn kind(name: &pst::EntityType) -> Option<Kind> {
    let text = name.to_string();
    Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
}

fn about(words: &Vocabulary, entity_or_slot: &EntityOrSlot) -> Option<About> {
    match entity_or_slot {
        EntityOrSlot::Entity(uid) => entity(words, uid).map(About::Entity),
        EntityOrSlot::Slot(_) => None,
    }
}

fn principal(words: &Vocabulary, constraint: &pst::PrincipalConstraint, conjuncts: &[&Expr]) -> About {
    use pst::PrincipalConstraint::{Any, Eq, In, Is, IsIn};
    let scope = match constraint {
        Eq(one) | In(one) | IsIn(_, one) => about(words, one),
        Any | Is(_) => None,
    };
    let condition = || conjuncts.iter().find_map(|expr| conjunct(words, expr, &Var::Principal));
    scope.or_else(condition).unwrap_or(About::Any)
}

fn resource(words: &Vocabulary, constraint: &pst::ResourceConstraint, conjuncts: &[&Expr]) -> About {
    use pst::ResourceConstraint::{Any, Eq, In, Is, IsIn};
    let scope = match constraint {
        Eq(one) | In(one) | IsIn(_, one) => about(words, one),
        Is(name) => kind(name).map(About::Kind),
        Any => None,
    };
    match scope {
        None | Some(About::Kind(_)) => {
            let condition = conjuncts.iter().find_map(|expr| conjunct(words, expr, &Var::Resource));
            condition.or(scope).unwrap_or(About::Any)
        }
        Some(found) => found,
    }
}

/// What one conjunct says of a variable: which entity it is or is in, or which value an attribute has.
fn conjunct(words: &Vocabulary, expr: &Expr, of: &Var) -> Option<About> {
    let Expr::BinaryOp { op, left, right } = expr else { return None };
    let is_it = |expr: &Expr| matches!(expr, Expr::Var(var) if var == of);
    match (op, left.as_ref(), right.as_ref()) {
        (BinaryOp::Eq | BinaryOp::In, it, Expr::Literal(Literal::EntityUID(uid))) if is_it(it) => {
            entity(words, uid).map(About::Entity)
        }
        (BinaryOp::Eq, Expr::GetAttr { expr, attr }, Expr::Literal(Literal::String(value)))
            if is_it(expr) && *of == Var::Principal =>
        {
            let known = INDEXED.into_iter().find(|known| known == attr)?;
            Some(About::Attribute(known, value.to_string()))
        }
        _ => None,
    }
}

/// The protocols a policy is about, as its scope and its very first condition say.
fn protocols(constraint: &pst::ResourceConstraint, first: Option<&Expr>) -> Option<Vec<Protocol>> {
    use pst::ResourceConstraint::{Any, Eq, In, Is, IsIn};
    let of_entity = |one: &EntityOrSlot| match one {
        EntityOrSlot::Entity(uid) => kind(&uid.ty),
        EntityOrSlot::Slot(_) => None,
    };
    let scope = match constraint {
        Is(name) | IsIn(name, _) => kind(name),
        Eq(one) => of_entity(one),
        // Whatever is in a database, say, is nothing that requests are sent to; what is in a target is anything.
        In(one) => of_entity(one).filter(|kind| *kind != Kind::Target),
        Any => None,
    };
    let spoken = first.and_then(|expr| match expr {
        Expr::BinaryOp { op: BinaryOp::Eq, left, right } => match (context_path(left)?.as_slice(), right.as_ref()) {
            (["protocol"], Expr::Literal(Literal::String(name))) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    });
    if scope.is_none() && spoken.is_none() {
        return None;
    }
    let fits = |protocol: &Protocol| {
        scope.is_none_or(|kind| protocol.kind() == kind) && spoken.as_ref().is_none_or(|name| protocol.as_str() == name)
    };
    Some(Protocol::ALL.into_iter().filter(fits).collect())
}

/// The names after `context`, when the expression is nothing else.
fn context_path(expr: &Expr) -> Option<Vec<&str>> {
    match expr {
        Expr::Var(Var::Context) => Some(Vec::new()),
        Expr::GetAttr { expr, attr } => {
            let mut path = context_path(expr)?;
            path.push(attr.as_str());
            Some(path)
        }
        _ => None,
    }
}

/// A walk over conditions, with what it found.
#[derive(Default)]
struct Walk {
    reads: Reads,
    hints: Hints,
    objections: Vec<Objection>,
}

impl Walk {
    /// A condition. `helps` is whether its becoming true can only help, only harm, or either.
    fn boolean(&mut self, expr: &Expr, helps: Option<bool>) {
        match expr {
            Expr::BinaryOp { op: BinaryOp::And | BinaryOp::Or, left, right } => {
                self.boolean(left, helps);
                self.boolean(right, helps);
            }
            Expr::UnaryOp { op: UnaryOp::Not, expr } => self.boolean(expr, helps.map(|helps| !helps)),
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.boolean(cond, None);
                self.boolean(then_expr, helps);
                self.boolean(else_expr, helps);
            }
            other => match self.approval(other) {
                Some(more) if helps != Some(more) => self.object(
                    "approval",
                    "more approval must not be worse than less",
                    "an approval may allow in `permit ... when`, or lift in `forbid ... unless`, and nothing else",
                ),
                Some(_) => {}
                None => self.value(other),
            },
        }
    }

    /// Whether the expression asks something of an approval, and if so whether more of it makes it true.
    fn approval(&mut self, expr: &Expr) -> Option<bool> {
        let more = match expr {
            Expr::HasAttr { expr, attrs } => {
                let mut path = context_path(expr)?;
                path.extend(attrs.iter().map(|attr| attr.as_str()));
                (path.first() == Some(&"approval")).then_some(true)
            }
            Expr::GetAttr { .. } => (context_path(expr)? == ["approval", "reason"]).then_some(true),
            Expr::BinaryOp { op: BinaryOp::Contains, left, right } => {
                (context_path(left)? == ["approval", "groups"] && self.groups([right])).then_some(true)
            }
            Expr::BinaryOp { op: BinaryOp::ContainsAll | BinaryOp::ContainsAny, left, right } => {
                let Expr::Set(all) = right.as_ref() else { return None };
                (context_path(left)? == ["approval", "groups"] && self.groups(all)).then_some(true)
            }
            Expr::BinaryOp { op, left, right } => self.people(*op, left, right),
            _ => None,
        };
        self.hints.any |= more.is_some();
        more
    }

    fn groups<'e>(&mut self, all: impl IntoIterator<Item = &'e Arc<Expr>>) -> bool {
        let named = all.into_iter().map(|expr| match expr.as_ref() {
            Expr::Literal(Literal::EntityUID(uid)) => Some(uid.eid.to_string()),
            _ => None,
        });
        let Some(named) = named.collect::<Option<BTreeSet<_>>>() else { return false };
        self.hints.groups.extend(named);
        true
    }

    fn people(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Option<bool> {
        let is_people = |expr: &Expr| context_path(expr).is_some_and(|path| path == ["approval", "people"]);
        let (number, people_first) = match (left, right) {
            (people, Expr::Literal(Literal::Long(number))) if is_people(people) => (*number, true),
            (Expr::Literal(Literal::Long(number)), people) if is_people(people) => (*number, false),
            _ => return None,
        };
        // With so many it is another answer than with one less, and more people make it true?
        let (from, more) = match (op, people_first) {
            (BinaryOp::GreaterEq, true) | (BinaryOp::LessEq, false) => (number, true),
            (BinaryOp::Greater, true) | (BinaryOp::Less, false) => (number.saturating_add(1), true),
            (BinaryOp::Less, true) | (BinaryOp::Greater, false) => (number, false),
            (BinaryOp::LessEq, true) | (BinaryOp::GreaterEq, false) => (number.saturating_add(1), false),
            _ => return None,
        };
        self.hints.people.extend(u32::try_from(from));
        Some(more)
    }

    /// Anything that is no condition by itself.
    fn value(&mut self, expr: &Expr) {
        if let Some(path) = context_path(expr) {
            if path.first() == Some(&"approval") {
                self.object(
                    "approval",
                    "an approval cannot be used like this",
                    "compare `context.approval.people` with a number, ask `context.approval.groups.contains(Group::\"…\")`, \
                     or read `context.approval.reason`",
                );
            }
            return self.reads.note(&path);
        }
        match expr {
            Expr::HasAttr { expr: of, attrs } => match context_path(of) {
                Some(mut path) => {
                    path.extend(attrs.iter().map(|attr| attr.as_str()));
                    // Looking whether something is there is looking at it, but at no part of it.
                    if path != ["time"] && path != ["identity"] {
                        self.reads.note(&path);
                    }
                }
                None => self.value(of),
            },
            Expr::GetAttr { expr, .. } | Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => {
                self.boolean(expr, None);
            }
            Expr::Is { expr, in_expr, .. } => {
                self.value(expr);
                in_expr.iter().for_each(|expr| self.value(expr));
            }
            Expr::BinaryOp { left, right, .. } => {
                self.boolean(left, None);
                self.boolean(right, None);
            }
            Expr::IfThenElse { .. } => self.boolean(expr, None),
            Expr::Set(all) => all.iter().for_each(|expr| self.boolean(expr, None)),
            Expr::Record(all) => all.values().for_each(|expr| self.boolean(expr, None)),
            Expr::Literal(_) | Expr::Var(_) | Expr::Slot(_) | Expr::Unknown { .. } => {}
            // A form of a later Cedar: it may look at anything.
            _ => self.reads = Reads::ALL,
        }
    }

    fn object(&mut self, word: &'static str, message: &'static str, help: &'static str) {
        let objection = Objection { word, message, help };
        if !self.objections.contains(&objection) {
            self.objections.push(objection);
        }
    }
}
