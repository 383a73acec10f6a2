//! Results that everybody sees as they are: found out once, and known again by what they are made of.

use std::{collections::VecDeque, sync::Arc};

use super::{catalogs::Known, masks::Masks, meaning::Essence};
use crate::{
    mask::Classes,
    protocol::postgres::{Format, Oid, rows::Column},
};

/// Most results that a session knows.
const MOST: usize = 16;

/// What a result's column is, as far as masks depend on it.
type Told = (Oid, i16, Oid, Format);

/// A result by the text and its place in it, its columns, and what is done to it.
type Kept = (Arc<Essence>, usize, Vec<Told>, Arc<Masks>);

/// Results of a session, the latest first.
#[derive(Default)]
pub(super) struct Plain {
    /// What holds for all of them.
    under: Option<(Arc<Known>, Arc<Classes>)>,
    results: VecDeque<Kept>,
}

impl Plain {
    /// What is done to the rows of the result at this place, if it is known: nothing.
    pub(super) fn find(
        &self,
        (known, classes): (&Arc<Known>, &Arc<Classes>),
        (essence, at): (&Arc<Essence>, usize),
        columns: &[Column<'_>],
    ) -> Option<Arc<Masks>> {
        let (under, by) = self.under.as_ref()?;
        if !Arc::ptr_eq(under, known) || !Arc::ptr_eq(by, classes) {
            return None;
        }
        let same = |told: &[Told]| told.iter().copied().eq(columns.iter().map(told_of));
        let found =
            self.results.iter().find(|(of, place, told, _)| Arc::ptr_eq(of, essence) && *place == at && same(told));
        found.map(|(.., masks)| Arc::clone(masks))
    }

    /// Keeps one.
    pub(super) fn keep(
        &mut self,
        (known, classes): (&Arc<Known>, &Arc<Classes>),
        (essence, at): (&Arc<Essence>, usize),
        columns: &[Column<'_>],
        masks: &Arc<Masks>,
    ) {
        let held = |(under, by): &(Arc<Known>, Arc<Classes>)| Arc::ptr_eq(under, known) && Arc::ptr_eq(by, classes);
        if !self.under.as_ref().is_some_and(held) {
            self.under = Some((Arc::clone(known), Arc::clone(classes)));
            self.results.clear();
        }
        self.results.truncate(MOST - 1);
        let told = columns.iter().map(told_of).collect();
        self.results.push_front((Arc::clone(essence), at, told, Arc::clone(masks)));
    }
}

fn told_of(column: &Column<'_>) -> Told {
    (column.table, column.attribute, column.kind, column.format)
}
