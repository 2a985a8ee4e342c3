//! The rules in force, compiled: the newest version in the database, followed by whoever reads bounces.

use super::{LONGEST_RULES, compiled};
use crate::Error;
use rebound_classify::{Fault, Rules};
use rebound_db::{Connection, rule_files};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Keeps the rules in force at hand. Clones share what they keep.
///
/// Whoever reads bounces asks it before each batch, so that a version that was saved by any process on the database
/// holds from then on.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let folder = tempfile::tempdir().unwrap();
/// let db = rebound_db::temporary(folder.path()).await.unwrap();
/// let book = rebound_contacts::rules::RuleBook::default();
/// let in_force = book.in_force(&db).await.unwrap();
/// assert!(in_force.rules().reply(b"550 5.1.1 no such user").unwrap().is_hard());
/// # })
/// ```
#[derive(Clone, Debug, Default)]
pub struct RuleBook(Arc<Mutex<Option<Arc<InForce>>>>);

/// The rules in force.
#[derive(Debug)]
pub struct InForce {
    /// The version of the installation's own rules; 0 while none was saved.
    pub version: i64,
    /// What is wrong with that version since the built-in rules changed under it: it is laid aside then.
    pub faults: Vec<Fault>,
    own: Option<Rules>,
}

impl InForce {
    /// The built-in rules, with the installation's own laid over them.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        match &self.own {
            Some(own) => own,
            None => Rules::built_in(),
        }
    }
}

impl RuleBook {
    /// The rules in force now.
    ///
    /// # Errors
    /// [`rebound_db::Error`]
    pub async fn in_force(&self, db: &impl Connection) -> Result<Arc<InForce>, rebound_db::Error> {
        let version = rule_files::in_force(db).await?;
        let mut kept = self.0.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.version == version) {
            return Ok(Arc::clone(kept));
        }
        let text = rule_files::text(db, version).await?.unwrap_or_default();
        let (own, faults) = match apart(move || compiled(&text)).await {
            Ok(own) => (own, vec![]),
            Err(faults) => {
                tracing::warn!(rules.version = version, fault = %faults.first().map(ToString::to_string).unwrap_or_default(),
                    "the installation's own rules do not hold any more; the built-in ones are used");
                (None, faults)
            }
        };
        let in_force = Arc::new(InForce { version, faults, own });
        *kept = Some(Arc::clone(&in_force));
        Ok(in_force)
    }
}

/// Looks for what is wrong with a text of rules; the text with the line ends that we keep.
///
/// # Errors
/// [`Error::FaultyRules`]
pub async fn check(text: &str) -> Result<String, Error> {
    let text = text.replace("\r\n", "\n").trim_end().to_owned();
    if text.len() > LONGEST_RULES {
        let what = format!("a text of rules has room for {} KiB", LONGEST_RULES >> 10);
        return Err(Error::FaultyRules(vec![Fault { rule: String::new(), what }]));
    }
    let text = if text.is_empty() { text } else { text + "\n" };
    let copy = text.clone();
    apart(move || compiled(&copy)).await.map_err(Error::FaultyRules)?;
    Ok(text)
}

/// Compiles on a thread that may take its time.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Vec<Fault>> + Send + 'static,
) -> Result<T, Vec<Fault>> {
    let failed = |_| vec![Fault { rule: String::new(), what: "the rules could not be read to their end".to_owned() }];
    spawn_blocking(work).await.map_err(failed)?
}
