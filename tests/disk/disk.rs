//! A file system in memory, and what is left of it when the power goes.
//!
//! Names are kept apart from what they name, as disks do: a file that was synced is lost while its directory was not,
//! and a name that was synced leads to whatever of the file was.

use crate::file::{Content, File, PAGE};
use sallyport_tests::Dice;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The top directory's number.
pub const ROOT: u64 = 1;

/// An operation that failed, as an error number.
pub type Failed = i32;

/// What else is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing can be changed: `EROFS`.
    ReadOnly,
    /// What is written is not kept, and the sync says so: `EIO`.
    SyncFails,
}

#[derive(Debug)]
enum Change {
    Add(OsString, u64),
    Remove(OsString),
    Move(OsString, OsString),
}

type Names = BTreeMap<OsString, u64>;

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Move(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

/// A directory.
#[derive(Debug, Default)]
pub struct Directory {
    current: Names,
    durable: Names,
    unsynced: Vec<Change>,
    parent: u64,
}

impl Directory {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What was synced, and the first few of what came after, in order.
    fn cut(&self, dice: &mut Dice) -> Names {
        let mut names = self.durable.clone();
        let reached = dice.upto(self.unsynced.len() as u64) as usize;
        self.unsynced.iter().take(reached).for_each(|change| change.apply(&mut names));
        names
    }
}

/// A file or a directory.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permissions.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Last written.
    pub written: SystemTime,
    /// It has a name.
    pub linked: bool,
    opened: u64,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// A file.
    File(File),
    /// A directory.
    Directory(Directory),
}

impl Node {
    fn new(kind: Kind, mode: u32, owner: (u32, u32)) -> Self {
        Self { kind, mode: mode & 0o7777, owner, written: SystemTime::now(), linked: true, opened: 0 }
    }

    fn file(&mut self) -> Result<&mut File, Failed> {
        match &mut self.kind {
            Kind::File(file) => Ok(file),
            Kind::Directory(_) => Err(libc::EISDIR),
        }
    }

    fn directory(&mut self) -> Result<&mut Directory, Failed> {
        match &mut self.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::File(_) => Err(libc::ENOTDIR),
        }
    }
}

/// The disk.
#[derive(Debug)]
pub struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    pages: u64,
    trouble: Option<Trouble>,
}

impl Disk {
    /// An empty disk of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let root = Node::new(Kind::Directory(Directory { parent: ROOT, ..Directory::default() }), 0o755, (0, 0));
        let pages = bytes / PAGE as u64;
        Self { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT, pages, trouble: None }
    }

    /// Puts a copy of an ordinary directory on it, all of it synced.
    pub fn load(&mut self, from: &Path) -> io::Result<()> {
        self.load_below(from, ROOT)
    }

    fn load_below(&mut self, from: &Path, to: u64) -> io::Result<()> {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let mode = meta.permissions().mode();
            let made = if meta.is_dir() {
                let node = self.create_directory(to, &entry.file_name(), mode, (0, 0));
                self.load_below(&entry.path(), node.map_err(io::Error::from_raw_os_error)?)?;
                node
            } else {
                let node = self.create(to, &entry.file_name(), mode, (0, 0));
                node.and_then(|node| {
                    let bytes = fs::read(entry.path()).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
                    self.write(node, 0, &bytes)?;
                    Ok(node)
                })
            };
            made.and_then(|node| self.sync(node)).map_err(io::Error::from_raw_os_error)?;
        }
        self.sync(to).map_err(io::Error::from_raw_os_error)
    }

    /// Makes it as large as this, bytes; smaller than what it holds makes it full.
    pub fn resize(&mut self, bytes: u64) {
        self.pages = bytes / PAGE as u64;
    }

    /// Breaks it, or mends it.
    pub fn set_trouble(&mut self, trouble: Option<Trouble>) {
        self.trouble = trouble;
    }

    /// Pages in all, and pages that are free.
    pub fn space(&self) -> (u64, u64) {
        let taken = |node: &Node| match &node.kind {
            Kind::File(file) if node.linked || node.opened > 0 => file.current().occupied(),
            Kind::File(_) | Kind::Directory(_) => 0,
        };
        let taken: u64 = self.nodes.values().map(taken).sum();
        (self.pages, self.pages.saturating_sub(taken))
    }

    /// A file or directory by its number.
    pub fn node(&mut self, node: u64) -> Result<&mut Node, Failed> {
        self.nodes.get_mut(&node).ok_or(libc::ENOENT)
    }

    /// A file by its number.
    pub fn file(&mut self, node: u64) -> Result<&mut File, Failed> {
        self.node(node)?.file()
    }

    /// By its name in a directory.
    pub fn lookup(&mut self, parent: u64, name: &OsStr) -> Result<u64, Failed> {
        self.node(parent)?.directory()?.current.get(name).copied().ok_or(libc::ENOENT)
    }

    /// Everything in a directory, itself and its parent first.
    pub fn list(&mut self, node: u64) -> Result<Vec<(OsString, u64)>, Failed> {
        let directory = self.node(node)?.directory()?;
        let own = [(OsString::from("."), node), (OsString::from(".."), directory.parent)];
        Ok(own.into_iter().chain(directory.current.clone()).collect())
    }

    /// Whether anything may be changed.
    pub fn writable(&self) -> Result<(), Failed> {
        if self.trouble == Some(Trouble::ReadOnly) { Err(libc::EROFS) } else { Ok(()) }
    }

    /// A new file.
    pub fn create(&mut self, parent: u64, name: &OsStr, mode: u32, owner: (u32, u32)) -> Result<u64, Failed> {
        self.make(parent, name, Node::new(Kind::File(File::default()), mode, owner))
    }

    /// A new directory.
    pub fn create_directory(&mut self, parent: u64, name: &OsStr, mode: u32, owner: (u32, u32)) -> Result<u64, Failed> {
        let kind = Kind::Directory(Directory { parent, ..Directory::default() });
        self.make(parent, name, Node::new(kind, mode, owner))
    }

    fn make(&mut self, parent: u64, name: &OsStr, mut made: Node) -> Result<u64, Failed> {
        self.writable()?;
        if let Kind::Directory(directory) = &mut made.kind {
            directory.parent = parent;
        }
        let node = self.next + 1;
        let directory = self.node(parent)?.directory()?;
        if directory.current.contains_key(name) {
            return Err(libc::EEXIST);
        }
        directory.change(Change::Add(name.to_owned(), node));
        self.next = node;
        self.nodes.insert(node, made);
        Ok(node)
    }

    /// Takes a name away; of a directory only an empty one's.
    pub fn remove(&mut self, parent: u64, name: &OsStr) -> Result<(), Failed> {
        self.writable()?;
        let node = self.lookup(parent, name)?;
        let found = self.node(node)?;
        if matches!(&found.kind, Kind::Directory(directory) if !directory.current.is_empty()) {
            return Err(libc::ENOTEMPTY);
        }
        found.linked = false;
        self.node(parent)?.directory()?.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    /// Gives a file or directory another name, in the same directory: a move between two is no one step on this disk.
    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), replace: bool) -> Result<(), Failed> {
        self.writable()?;
        let moved = self.lookup(from.0, from.1)?;
        if from.0 != to.0 {
            return Err(libc::EXDEV);
        }
        match self.lookup(to.0, to.1) {
            Ok(node) if node == moved => return Ok(()),
            Ok(_) if !replace => return Err(libc::EEXIST),
            Ok(node) => self.node(node)?.linked = false,
            Err(_) => {}
        }
        self.node(from.0)?.directory()?.change(Change::Move(from.1.to_owned(), to.1.to_owned()));
        Ok(())
    }

    /// Somebody uses it, whatever becomes of its name.
    pub fn open(&mut self, node: u64) -> Result<(), Failed> {
        self.node(node)?.opened += 1;
        Ok(())
    }

    /// Somebody uses it no longer.
    pub fn close(&mut self, node: u64) -> Result<(), Failed> {
        let found = self.node(node)?;
        found.opened = found.opened.saturating_sub(1);
        Ok(())
    }

    /// Writes into a file, while there is space.
    pub fn write(&mut self, node: u64, at: u64, bytes: &[u8]) -> Result<(), Failed> {
        self.claim(node, at, bytes.len() as u64)?;
        self.file(node)?.write(at, bytes);
        self.node(node)?.written = SystemTime::now();
        Ok(())
    }

    /// Puts space by for a file, while there is any; `grow`, and it is as long as that.
    pub fn allocate(&mut self, node: u64, at: u64, length: u64, grow: bool) -> Result<(), Failed> {
        self.claim(node, at, length)?;
        let file = self.file(node)?;
        let size = if grow { at + length } else { file.current().size() };
        file.allocate(at, length, size);
        Ok(())
    }

    /// Makes a file shorter or longer.
    pub fn truncate(&mut self, node: u64, size: u64) -> Result<(), Failed> {
        self.writable()?;
        self.file(node)?.resize(size);
        self.node(node)?.written = SystemTime::now();
        Ok(())
    }

    fn claim(&mut self, node: u64, at: u64, length: u64) -> Result<(), Failed> {
        self.writable()?;
        let (_, free) = self.space();
        if self.file(node)?.wants(at, length) > free { Err(libc::ENOSPC) } else { Ok(()) }
    }

    /// Everything up to now is on the disk: of a file its bytes, of a directory its names.
    pub fn sync(&mut self, node: u64) -> Result<(), Failed> {
        self.writable()?;
        let fails = self.trouble == Some(Trouble::SyncFails);
        match &mut self.node(node)?.kind {
            Kind::File(file) if fails => file.lose(),
            Kind::File(file) => file.sync(),
            Kind::Directory(_) if fails => {}
            Kind::Directory(directory) => {
                directory.sync();
                self.forget_the_unreachable();
            }
        }
        if fails { Err(libc::EIO) } else { Ok(()) }
    }

    /// Drops what no name on the disk leads to any more, nobody uses, and no power cut brings back.
    fn forget_the_unreachable(&mut self) {
        let mut named = BTreeSet::from([ROOT]);
        for node in self.nodes.values() {
            if let Kind::Directory(directory) = &node.kind {
                named.extend(directory.current.values().chain(directory.durable.values()));
                named.extend(directory.unsynced.iter().filter_map(|change| match change {
                    Change::Add(_, node) => Some(node),
                    Change::Remove(_) | Change::Move(..) => None,
                }));
            }
        }
        self.nodes.retain(|number, node| named.contains(number) || node.opened > 0);
    }

    /// What is left when the power goes now.
    pub fn cut(&self, seed: u64) -> Image {
        let mut image = Image::default();
        self.cut_below(ROOT, Path::new(""), &mut Dice::new(seed), &mut image);
        image
    }

    fn cut_below(&self, node: u64, path: &Path, dice: &mut Dice, image: &mut Image) {
        let Some(Node { kind: Kind::Directory(directory), .. }) = self.nodes.get(&node) else { return };
        for (name, node) in directory.cut(dice) {
            let path = path.join(name);
            let Some(found) = self.nodes.get(&node) else { continue };
            let content = match &found.kind {
                Kind::File(file) => Some(file.cut(dice)),
                Kind::Directory(_) => None,
            };
            image.entries.push((path.clone(), found.mode, content));
            self.cut_below(node, &path, dice, image);
        }
    }
}

/// What was on a disk when the power went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Path, mode, and the bytes of a file; a directory comes before what is in it.
    entries: Vec<(PathBuf, u32, Option<Content>)>,
}

impl Image {
    /// Writes it into an ordinary directory, which is there and empty.
    pub fn write_into(&self, directory: &Path) -> io::Result<()> {
        for (path, mode, content) in &self.entries {
            let path = directory.join(path);
            match content {
                Some(content) => fs::write(&path, content.read(0, content.size()))?,
                None => fs::create_dir(&path)?,
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
        }
        Ok(())
    }
}
