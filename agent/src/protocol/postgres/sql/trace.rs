//! Lineage while a statement is walked: sets of columns by number, and which constants they were combined with.

use std::collections::BTreeSet;
use std::sync::Arc;

/// A column of the catalog: which relation, which of its columns, both from 0.
pub(super) type Cell = (u32, u32);

/// What a value is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    Of(Arc<BTreeSet<Cell>>),
    Undecided,
}

impl Default for Trace {
    fn default() -> Self {
        Self::Of(Arc::default())
    }
}

impl Trace {
    pub(super) fn one(cell: Cell) -> Self {
        Self::Of(Arc::new(BTreeSet::from([cell])))
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Of(cells) if cells.is_empty())
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> {
        let cells = match self {
            Self::Of(cells) => Some(cells),
            Self::Undecided => None,
        };
        cells.into_iter().flat_map(|cells| cells.iter().copied())
    }

    /// Adds what another is made from; says how much work that was.
    pub(super) fn add(&mut self, other: &Self) -> usize {
        match (&mut *self, other) {
            (Self::Undecided, _) => 1,
            (_, Self::Undecided) => {
                *self = Self::Undecided;
                1
            }
            (Self::Of(mine), Self::Of(theirs)) => {
                if theirs.is_empty() || Arc::ptr_eq(mine, theirs) {
                    return 1;
                }
                if mine.is_empty() {
                    *mine = Arc::clone(theirs);
                    return 1;
                }
                let work = theirs.len();
                if !theirs.is_subset(mine) {
                    Arc::make_mut(mine).extend(theirs.iter().copied());
                }
                work.saturating_add(1)
            }
        }
    }
}

/// A value: what it is made from, and the constants that are in it as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Val {
    pub(super) trace: Trace,
    /// Constants and parameters in it.
    pub(super) loose: Option<Group>,
}

impl Val {
    pub(super) fn undecided() -> Self {
        Self { trace: Trace::Undecided, loose: None }
    }
}

impl From<Trace> for Val {
    fn from(trace: Trace) -> Self {
        Self { trace, loose: None }
    }
}

/// Constants and parameters that are combined with each other.
pub(super) type Group = usize;

/// All of them: a forest, whose roots know what columns are near.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Member>);

#[derive(Debug)]
enum Member {
    Of(Group),
    Root(Trace),
}

impl Groups {
    pub(super) fn new_group(&mut self) -> Group {
        self.0.push(Member::Root(Trace::default()));
        self.0.len().saturating_sub(1)
    }

    fn root(&mut self, group: Group) -> Group {
        let mut root = group;
        while let Some(Member::Of(next)) = self.0.get(root) {
            root = *next;
        }
        let mut at = group;
        while let Some(Member::Of(next)) = self.0.get_mut(at) {
            at = std::mem::replace(next, root);
        }
        root
    }

    /// Says that this is near the constants.
    pub(super) fn near(&mut self, group: Group, trace: &Trace) -> usize {
        let root = self.root(group);
        match self.0.get_mut(root) {
            Some(Member::Root(near)) => near.add(trace),
            Some(Member::Of(_)) | None => 0,
        }
    }

    /// Makes one of two.
    pub(super) fn unite(&mut self, a: Group, b: Group) -> usize {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return 1;
        }
        match self.0.get_mut(b).map(|member| std::mem::replace(member, Member::Of(a))) {
            Some(Member::Root(near)) => self.near(a, &near),
            Some(Member::Of(_)) | None => 1,
        }
    }

    /// What is near the constants.
    pub(super) fn found(&mut self, group: Group) -> Trace {
        let root = self.root(group);
        match self.0.get(root) {
            Some(Member::Root(near)) => near.clone(),
            Some(Member::Of(_)) | None => Trace::Undecided,
        }
    }
}
