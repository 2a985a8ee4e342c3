//! The same messages from where others keep them: files, folders, Maildir, mbox, standard input.
//!
//! Nothing is moved, marked or deleted.

mod eml;
mod maildir;
mod mbox;

use crate::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

/// The largest message that is taken, in bytes.
pub const LARGEST: usize = 25 << 20;

/// A message in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMessage {
    /// Where; `-` for standard input.
    pub path: PathBuf,
    /// Its place in the file, counted from 1.
    pub number: usize,
    /// The message, byte for byte.
    pub raw: Vec<u8>,
}

/// What is found, one by one.
type Found = Box<dyn Iterator<Item = Result<FoundMessage, Error>> + Send>;

/// The messages at `path`: a file (one message, or an mbox), a folder of such, a Maildir, or `-` for standard input.
///
/// They are read as they are asked for; one that cannot be read is an error, and the others follow.
pub fn messages(path: &Path) -> impl Iterator<Item = Result<FoundMessage, Error>> + Send + use<> {
    if path == Path::new("-") {
        return within(path.to_owned(), io::stdin());
    }
    Box::new(Files { waiting: vec![(path.to_owned(), Asked::ByName)] }.flat_map(|file| match file {
        Ok(path) => open(path),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }))
}

/// Whether somebody named the file, or it lay in a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    ByName,
    ByFolder,
}

/// The files at a path, in the order of their names.
struct Files {
    waiting: Vec<(PathBuf, Asked)>,
}

impl Iterator for Files {
    type Item = Result<PathBuf, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((path, asked)) = self.waiting.pop() {
            match self.visit(&path, asked) {
                Ok(true) => return Some(Ok(path)),
                Ok(false) => {}
                Err(source) => return Some(Err(Error::Unreadable { path, source })),
            }
        }
        None
    }
}

impl Files {
    /// Whether `path` is a file of messages; of a folder, what is in it waits next.
    fn visit(&mut self, path: &Path, asked: Asked) -> io::Result<bool> {
        if !fs::metadata(path)?.is_dir() {
            return Ok(asked == Asked::ByName || eml::looks_like_mail(path)?);
        }
        let (folders, kind) = match maildir::folders(path) {
            Some(folders) => (folders, Asked::ByName),
            None => (vec![path.to_owned()], Asked::ByFolder),
        };
        let mut found = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                // A link to a folder may lead back here.
                let leads_on = entry.file_type()?.is_symlink() && entry.path().is_dir();
                if !leads_on && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        self.waiting.extend(found.into_iter().rev().map(|path| (path, kind)));
        Ok(false)
    }
}

fn open(path: PathBuf) -> Found {
    match File::open(&path) {
        Ok(file) if eml::is_single(&path) => Box::new(std::iter::once(eml::read(path, 1, file))),
        Ok(file) => within(path, file),
        Err(source) => Box::new(std::iter::once(Err(Error::Unreadable { path, source }))),
    }
}

/// The messages that `source` holds: an mbox when it begins like one, else a single message.
fn within(path: PathBuf, mut source: impl Read + Send + 'static) -> Found {
    let mut start = Vec::new();
    if let Err(source) = source.by_ref().take(mbox::START.len() as u64).read_to_end(&mut start) {
        return Box::new(std::iter::once(Err(Error::Unreadable { path, source })));
    }
    let is_mbox = start == mbox::START;
    let all = Cursor::new(start).chain(source);
    if is_mbox {
        Box::new(mbox::Mbox::new(path, BufReader::new(all)))
    } else {
        Box::new(std::iter::once(eml::read(path, 1, all)))
    }
}
