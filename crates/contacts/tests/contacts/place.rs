//! A database of its own for each test, and what one asks of it.

use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::{Error, Import, Imported, import};
use rebound_db::imports::BadRow;
use rebound_db::{Pool, contacts, imports, lists};
use rebound_domain::{Contact, ContactId, EmailAddress, List};
use std::io::Cursor;
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) db: Pool,
    pub(crate) list: List,
    pub(crate) now: DateTime<Utc>,
    _folder: TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        Self::on(db, folder).await
    }

    /// In a database that may be anywhere.
    pub(crate) async fn at(url: &str) -> Self {
        let db = rebound_db::connect(url).await.unwrap();
        rebound_db::migrate(&db).await.unwrap();
        Self::on(db, tempfile::tempdir().unwrap()).await
    }

    async fn on(db: Pool, folder: TempDir) -> Self {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let list = lists::ensure(&db, "Newsletter", now).await.unwrap();
        Self { db, list, now, _folder: folder }
    }

    pub(crate) async fn try_import(&self, file: impl Into<Vec<u8>>) -> Result<Imported, Error> {
        let settings = Import::new(self.list.id, "people.csv", self.now);
        import(&self.db, Cursor::new(file.into()), &settings, |_| ()).await
    }

    pub(crate) async fn import(&self, file: impl Into<Vec<u8>>) -> Imported {
        let imported = self.try_import(file).await.unwrap();
        let counts = imported.counts;
        let kinds = [counts.added, counts.updated, counts.unchanged, counts.duplicates, counts.suppressed, counts.bad];
        assert_eq!(kinds.iter().sum::<i64>(), counts.lines, "every row is counted once: {counts:?}");
        assert_eq!(imports::get(&self.db, imported.id).await.unwrap().unwrap().counts, counts);
        imported
    }

    pub(crate) async fn bad(&self, imported: Imported) -> Vec<BadRow> {
        imports::bad_rows(&self.db, imported.id, 0, 1000).await.unwrap()
    }

    /// The refused rows as `line: reason`.
    pub(crate) async fn reasons(&self, imported: Imported) -> Vec<String> {
        self.bad(imported).await.iter().map(|row| format!("{}: {}", row.line, row.reason)).collect()
    }

    pub(crate) async fn contact(&self, address: &str) -> Option<Contact> {
        let address: EmailAddress = address.parse().unwrap();
        contacts::by_key(&self.db, &address.key()).await.unwrap()
    }

    pub(crate) async fn field(&self, address: &str, field: &str) -> String {
        self.contact(address).await.unwrap().fields.get(field).cloned().unwrap_or_default()
    }

    pub(crate) async fn audience(&self) -> Vec<String> {
        let found = rebound_contacts::audience(&self.db, self.list.id, ContactId(0), 100, self.now).await.unwrap();
        assert_eq!(
            rebound_contacts::audience_count(&self.db, self.list.id, self.now).await.unwrap(),
            i64::try_from(found.len()).unwrap()
        );
        let mut addresses: Vec<_> = found.iter().map(|contact| contact.address.to_string()).collect();
        addresses.sort();
        addresses
    }
}
