//! One file as a kernel and a disk see it: what reads give now, what is on the disk for sure, and what happened between.

use sallyport_tests::Dice;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// What the kernel keeps and writes files in.
pub const PAGE: usize = 4096;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
/// Versions of a page that are remembered between two syncs.
const VERSIONS: usize = 4;
/// Truncations that are remembered between two syncs. What is older the kernel has written back by itself.
const EPOCHS: usize = 8;

type Page = Arc<[u8; PAGE]>;

/// The bytes of a file; pages that were never written are holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pages: BTreeMap<u64, Page>,
    size: u64,
}

impl Content {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Pages that take up space.
    pub fn occupied(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Up to `length` bytes from `at`; fewer at the end.
    pub fn read(&self, at: u64, length: u64) -> Vec<u8> {
        let end = at.saturating_add(length).min(self.size);
        let mut bytes = Vec::with_capacity(end.saturating_sub(at) as usize);
        for (index, from, to) in spans(at, end) {
            match self.pages.get(&index) {
                Some(page) => bytes.extend_from_slice(&page[from..to]),
                None => bytes.resize(bytes.len() + to - from, 0),
            }
        }
        bytes
    }

    fn page(&self, index: u64) -> Page {
        self.pages.get(&index).map_or_else(|| Arc::new([0; PAGE]), Arc::clone)
    }

    fn resize(&mut self, size: u64) {
        if size < self.size {
            let whole = size / PAGE as u64;
            let rest = (size % PAGE as u64) as usize;
            self.pages.retain(|index, _| *index < whole || (*index == whole && rest > 0));
            if let Some(page) = self.pages.get_mut(&whole) {
                Arc::make_mut(page)[rest..].fill(0);
            }
        }
        self.size = size;
    }
}

/// Page by page: its index, and from where to where in it.
fn spans(at: u64, end: u64) -> impl Iterator<Item = (u64, usize, usize)> {
    let page = PAGE as u64;
    let indices = if at < end { at / page..end.div_ceil(page) } else { 0..0 };
    indices.map(move |index| {
        let start = index * page;
        (index, at.saturating_sub(start) as usize, (end - start).min(page) as usize)
    })
}

/// What happened since a file was last cut short, or synced.
#[derive(Clone, Debug, Default)]
struct Epoch {
    /// It begins with being cut to this size.
    cut: Option<u64>,
    /// Each version of each page, oldest first.
    pages: BTreeMap<u64, Vec<Page>>,
    /// It ends with this size.
    size: u64,
}

impl Epoch {
    fn apply(self, content: &mut Content) {
        if let Some(size) = self.cut {
            content.resize(size);
        }
        let last = self.pages.into_iter().filter_map(|(index, mut versions)| Some((index, versions.pop()?)));
        content.pages.extend(last);
        content.size = self.size;
    }

    /// Some of it: any pages, in any version, some of them torn; `last` if nothing came after. One page in `odds` is not
    /// there at all.
    fn apply_some(&self, content: &mut Content, last: bool, odds: u64, dice: &mut Dice) {
        if let Some(size) = self.cut {
            content.resize(size);
        }
        let before = content.size;
        for (index, versions) in &self.pages {
            if dice.once_in(odds) {
                continue;
            }
            let version = dice.upto(versions.len() as u64 - 1) as usize;
            let page = if dice.once_in(odds.saturating_mul(2)) {
                torn(&content.page(*index), &versions[version], dice)
            } else {
                Arc::clone(&versions[version])
            };
            content.pages.insert(*index, page);
        }
        let between = before + dice.upto(self.size.saturating_sub(before));
        let size = if last { [before, between, self.size][dice.upto(2) as usize] } else { self.size };
        // Pages that were written past the size that survived go with what is past it.
        content.size = u64::MAX;
        content.resize(size);
    }
}

fn torn(before: &Page, after: &Page, dice: &mut Dice) -> Page {
    let mut page = **before;
    for at in (0..PAGE).step_by(SECTOR) {
        if dice.once_in(2) {
            page[at..at + SECTOR].copy_from_slice(&after[at..at + SECTOR]);
        }
    }
    Arc::new(page)
}

/// A file.
#[derive(Clone, Debug, Default)]
pub struct File {
    current: Content,
    durable: Content,
    unsynced: VecDeque<Epoch>,
}

impl File {
    /// As it reads now.
    pub fn current(&self) -> &Content {
        &self.current
    }

    /// Pages that a write there would newly take up.
    pub fn wants(&self, at: u64, length: u64) -> u64 {
        let missing = |(index, ..): &(u64, usize, usize)| !self.current.pages.contains_key(index);
        spans(at, at.saturating_add(length)).filter(missing).count() as u64
    }

    /// Writes bytes.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let end = at + bytes.len() as u64;
        let mut rest = bytes;
        for (index, from, to) in spans(at, end) {
            let (here, after) = rest.split_at(to - from);
            rest = after;
            let mut page = self.current.page(index);
            Arc::make_mut(&mut page)[from..to].copy_from_slice(here);
            self.replace(index, page);
        }
        self.grow(end);
    }

    /// Takes up space without changing what is read; the file becomes at least `size` long.
    pub fn allocate(&mut self, at: u64, length: u64, size: u64) {
        for (index, ..) in spans(at, at + length) {
            if !self.current.pages.contains_key(&index) {
                self.replace(index, Arc::new([0; PAGE]));
            }
        }
        self.grow(size);
    }

    /// Cuts the file short, or makes it longer by a hole.
    pub fn resize(&mut self, size: u64) {
        if size >= self.current.size {
            self.grow(size);
            return;
        }
        self.current.resize(size);
        self.unsynced.push_back(Epoch { cut: Some(size), pages: BTreeMap::new(), size });
        if self.unsynced.len() > EPOCHS
            && let Some(oldest) = self.unsynced.pop_front()
        {
            oldest.apply(&mut self.durable);
        }
    }

    /// Everything up to now is on the disk.
    pub fn sync(&mut self) {
        for epoch in self.unsynced.drain(..) {
            epoch.apply(&mut self.durable);
        }
    }

    /// What was to be synced is not: the disk refused it, and the kernel, which has it still, will not try again.
    pub fn lose(&mut self) {
        self.unsynced.clear();
    }

    /// What is on the disk when the power goes: all that was synced, and any part of the rest.
    pub fn cut(&self, dice: &mut Dice) -> Content {
        let mut content = self.durable.clone();
        let reached = dice.upto(self.unsynced.len() as u64) as usize;
        let odds = [2, 8, u64::MAX][dice.upto(2) as usize];
        for (at, epoch) in (1..).zip(self.unsynced.iter().take(reached)) {
            epoch.apply_some(&mut content, at == reached, odds, dice);
        }
        content
    }

    fn replace(&mut self, index: u64, page: Page) {
        self.current.pages.insert(index, Arc::clone(&page));
        let versions = self.epoch().pages.entry(index).or_default();
        if versions.len() == VERSIONS {
            versions.remove(0);
        }
        versions.push(page);
    }

    fn grow(&mut self, size: u64) {
        self.current.size = self.current.size.max(size);
        let size = self.current.size;
        self.epoch().size = size;
    }

    fn epoch(&mut self) -> &mut Epoch {
        if self.unsynced.is_empty() {
            self.unsynced.push_back(Epoch { size: self.current.size, ..Epoch::default() });
        }
        let last = self.unsynced.len() - 1;
        &mut self.unsynced[last]
    }
}
