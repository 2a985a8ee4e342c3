//! Maildir: one file per message, in `new` until somebody has seen it and in `cur` from then on.

use std::path::{Path, PathBuf};

/// The folders of the Maildir at `path` that hold messages; `None` when it is no Maildir. What lies in `tmp` is not
/// whole yet.
pub(super) fn folders(path: &Path) -> Option<Vec<PathBuf>> {
    let folders = vec![path.join("new"), path.join("cur")];
    folders.iter().all(|folder| folder.is_dir()).then_some(folders)
}
