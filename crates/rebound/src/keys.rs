//! The key that signs return paths and links: in a file of its own, readable by its owner alone.

use anyhow::{Context, ensure};
use rebound_domain::Keys;
use std::io::Write;
use std::path::Path;

/// The keys in `file`, one a line as `a <64 hex digits>`; the first signs. A file that is not there is made.
/// `REBOUND_KEY` in the environment takes its place, so that several machines can share a key.
pub(crate) fn load(file: &Path) -> anyhow::Result<Keys> {
    if let Ok(text) = std::env::var("REBOUND_KEY") {
        return parse(&text).context("REBOUND_KEY cannot be used");
    }
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&text).with_context(|| format!("{} cannot be used", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(file),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn make(file: &Path) -> anyhow::Result<Keys> {
    let secret: [u8; 32] = rand::random();
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut made = options.open(file).with_context(|| format!("cannot write {}", file.display()))?;
    writeln!(made, "a {hex}")?;
    // Mail that goes out is signed with it: it must not be lost after the first message.
    made.sync_all()?;
    tracing::info!(file = %file.display(), "made a new key; keep a copy of it, bounces are known by it");
    Ok(Keys::new(('a', secret.to_vec()), vec![]))
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
}
