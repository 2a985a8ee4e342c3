//! The keys that sign return paths and links and seal secrets: in a file of its own, readable by its owner alone.

use anyhow::{Context, ensure};
use rebound_domain::Keys;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a changed key file is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// The keys in `file`, one a line as `a <64 hex digits>`; the first signs. A file that is not there is made.
/// `REBOUND_KEY` in the environment takes its place, so that several machines can share a key.
pub(crate) fn load(file: &Path) -> anyhow::Result<Keys> {
    if let Ok(text) = std::env::var("REBOUND_KEY") {
        return parse(&text).context("REBOUND_KEY cannot be used");
    }
    match std::fs::read_to_string(file) {
        Ok(text) => {
            make_private(file)?;
            parse(&text).with_context(|| format!("{} cannot be used", file.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(file),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Whether the keys come from the environment.
pub(crate) fn are_in_the_environment() -> bool {
    std::env::var_os("REBOUND_KEY").is_some()
}

fn make(file: &Path) -> anyhow::Result<Keys> {
    let secret: [u8; 32] = rand::random();
    write_new(file, &format!("a {}\n", hex(&secret)))?;
    tracing::info!(file = %file.display(), "made a new key; keep a copy of it, bounces are known by it");
    Ok(Keys::new(('a', secret.to_vec()), vec![]))
}

/// Puts a new key before those in `file`: it signs and seals from now on, the older ones are still believed.
pub(crate) fn rotate(file: &Path) -> anyhow::Result<(char, Keys)> {
    let known = load(file)?;
    let name = ('a'..='z').find(|name| !known.names().contains(name));
    let name = name.context("all letters are taken; remove a key that is older than 45 days")?;
    let older = std::fs::read_to_string(file)?;
    let text = format!("{name} {}\n{older}", hex(&rand::random::<[u8; 32]>()));
    let new = file.with_extension("key.new");
    // A rotation that broke off left it; nothing was signed with what is in it.
    if new.exists() {
        std::fs::remove_file(&new)?;
    }
    write_new(&new, &text)?;
    std::fs::rename(&new, file).with_context(|| format!("cannot replace {}", file.display()))?;
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok((name, parse(&text)?))
}

/// Goes on with what is in `file` whenever that changes, so that a rotation needs no restart. It goes by what the file
/// says and not by its time: two changes can bear the same time. A file that is gone leaves the keys as they are.
pub(crate) async fn follow(file: PathBuf, keys: Keys, stop: CancellationToken) {
    let read = || std::fs::read_to_string(&file).map_err(|error| error.kind());
    let mut seen = None;
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let now = read();
        if seen.as_ref() == Some(&now) {
            continue;
        }
        match now.as_ref().map_err(|kind| anyhow::anyhow!("{kind}")).and_then(|text| parse(text)) {
            Ok(newer) => {
                if newer.names() != keys.names() {
                    tracing::info!(key = %newer.names().first().unwrap_or(&'?'), "the keys changed");
                }
                keys.replace(&newer);
            }
            Err(error) => tracing::error!(error = %format!("{error:#}"), "the key file cannot be read; kept the keys"),
        }
        seen = Some(now);
    }
}

/// Only its owner may read a key file: whoever has it can forge bounces and open all passwords. One that others can
/// read is closed to them.
fn make_private(file: &Path) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).with_context(|| {
                let file = file.display();
                format!("{file} can be read by others (mode {mode:o}). As its owner, run: chmod 600 {file}")
            })?;
            tracing::warn!(file = %file.display(), "the key could be read by others of this machine; closed it to them");
        }
    }
    Ok(())
}

fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut made = options.open(file).with_context(|| format!("cannot write {}", file.display()))?;
    made.write_all(text.as_bytes())?;
    // Mail that goes out is signed with it: it must not be lost after the first message.
    Ok(made.sync_all()?)
}

fn hex(secret: &[u8]) -> String {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(text: &str) -> anyhow::Result<Keys> {
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, hex) = line.split_once(' ').context("a line must be a letter, a blank and 64 hex digits")?;
        let letter = name.chars().next().filter(|c| name.len() == 1 && c.is_ascii_lowercase());
        keys.push((letter.context("a key's name must be one small letter")?, unhex(hex.trim())?));
    }
    let mut keys = keys.into_iter();
    let first = keys.next().context("there is no key in it")?;
    Ok(Keys::new(first, keys.collect()))
}

fn unhex(hex: &str) -> anyhow::Result<Vec<u8>> {
    ensure!(hex.len() == 64 && hex.is_ascii(), "a key must have 64 hex digits");
    let byte = |i: usize| hex.get(i..i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..64).step_by(2).map(byte).collect::<Option<_>>().context("a key must have 64 hex digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rebound.key");
        let made = load(&file).unwrap();
        let read = load(&file).unwrap();
        let path = rebound_domain::UnsubscribeLink(rebound_domain::DeliveryId(7));
        assert_eq!(rebound_domain::UnsubscribeLink::verify(&path.sign(&made), &read), Some(path));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(parse("a 12").is_err() && parse("").is_err() && parse("AB 00").is_err());
    }

    #[test]
    fn a_rotation_keeps_the_old_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rebound.key");
        let old = load(&file).unwrap();
        std::fs::write(file.with_extension("key.new"), "left by a crash").unwrap();
        let (name, new) = rotate(&file).unwrap();
        assert_eq!((name, new.names()), ('b', vec!['b', 'a']));
        let sealed = rebound_domain::seal(&old, "secret", "here", [1; 24]).unwrap();
        assert_eq!(rebound_domain::unseal(&load(&file).unwrap(), &sealed, "here").as_deref(), Ok("secret"));
        assert_eq!(rotate(&file).unwrap().1.names(), ['c', 'b', 'a']);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_closed_to_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rebound.key");
        load(&file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        load(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_running_program_follows_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rebound.key");
        let (keys, stop) = (load(&file).unwrap(), CancellationToken::new());
        let following = tokio::spawn(follow(file.clone(), keys.clone(), stop.clone()));
        tokio::task::yield_now().await;
        rotate(&file).unwrap();
        let follows = async {
            while keys.names() != ['b', 'a'] {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), follows).await.unwrap();
        std::fs::remove_file(&file).unwrap();
        tokio::time::sleep(2 * LOOK).await;
        assert_eq!((keys.names(), file.exists()), (vec!['b', 'a'], false), "a lost file must not become a new key");
        stop.cancel();
        following.await.unwrap();
    }
}
