//! One message in one file.

use super::{FoundMessage, LARGEST, mbox};
use crate::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Whether the name says that there is one message in it, whatever it begins with.
pub(super) fn is_single(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["eml", "msg"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Whether a file that lies in a folder is mail: by its name, or since it begins with a field of a header.
pub(super) fn looks_like_mail(path: &Path) -> io::Result<bool> {
    if is_single(path) || path.extension().is_some_and(|extension| extension == "mbox") {
        return Ok(true);
    }
    let mut start = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut start)?;
    let line = start.trim_ascii_start().split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let field = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let named = field.len() < line.len() && !field.is_empty() && field.iter().all(u8::is_ascii_graphic);
    Ok(named || start.starts_with(mbox::START))
}

/// The whole of `source` as one message.
pub(super) fn read(path: PathBuf, number: usize, source: impl Read) -> Result<FoundMessage, Error> {
    let mut raw = Vec::new();
    match source.take(LARGEST as u64 + 1).read_to_end(&mut raw) {
        Err(source) => Err(Error::Unreadable { path, source }),
        Ok(_) if raw.len() > LARGEST => Err(Error::TooLarge { path, limit: LARGEST }),
        Ok(_) => {
            // Some programs save the separator of an mbox along with the message.
            if raw.starts_with(mbox::START) {
                let end = raw.iter().position(|byte| *byte == b'\n').map_or(0, |index| index + 1);
                raw.drain(..end);
            }
            Ok(FoundMessage { path, number, raw })
        }
    }
}
