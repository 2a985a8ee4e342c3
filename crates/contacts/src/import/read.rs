//! The half of an import that reads: from bytes to people, on a thread of its own.

use super::Import;
use super::columns::{Columns, Person};
use super::records::Records;
use super::sort::{Sorted, Sorter};
use super::text::Text;
use crate::Error;
use rebound_db::imports::BadRow;
use std::io::Read;
use tokio::sync::mpsc::Sender;

/// How many people, or refused rows, travel together.
pub(super) const CHUNK: usize = 4000;
/// After how many rows the reader says how far it is.
const REPORT: i64 = 50_000;

/// What the reader hands over: some people, some refused rows, and what it counted since the last time.
#[derive(Default)]
pub(super) struct Parcel {
    pub(super) people: Vec<Person>,
    pub(super) bad: Vec<BadRow>,
    pub(super) lines: i64,
    pub(super) duplicates: i64,
    /// How many bytes of the file were read.
    pub(super) bytes: u64,
}

/// Reads `source` to its end; the digest of it.
pub(super) fn read(source: impl Read, settings: &Import, parcels: &Sender<Parcel>) -> Result<String, Error> {
    let mut records = Records::new(Text::open(source)?)?;
    let first = match records.next()? {
        None => return Err(Error::Empty),
        Some(Ok(first)) => first,
        Some(Err(bad)) => return Err(Error::NoAddressColumn { found: format!("a row that is {}", bad.reason) }),
    };
    let (columns, is_header) = Columns::read(&first, settings)?;
    let mut reading = Reading { parcel: Parcel::default(), sorter: Sorter::default() };
    if !is_header {
        reading.take(columns.person(&first))?;
    }
    records.expect(columns.width());
    while let Some(row) = records.next()? {
        reading.take(row.and_then(|row| columns.person(&row)))?;
        if reading.is_full() {
            reading.parcel.bytes = records.bytes();
            hand_over(parcels, &mut reading.parcel)?;
        }
    }
    let bytes = records.bytes();
    reading.parcel.bytes = bytes;
    hand_over(parcels, &mut reading.parcel)?;
    let digest = records.digest();
    send_people(reading.sorter.finish()?, parcels, bytes)?;
    Ok(digest)
}

struct Reading {
    parcel: Parcel,
    sorter: Sorter,
}

impl Reading {
    fn take(&mut self, row: Result<Person, BadRow>) -> Result<(), Error> {
        self.parcel.lines += 1;
        match row {
            Ok(person) => self.sorter.push(person)?,
            Err(bad) => self.parcel.bad.push(bad),
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.parcel.bad.len() >= CHUNK || self.parcel.lines >= REPORT
    }
}

/// Sends everyone once, with what their last row says of them, and where it says nothing, an earlier one.
fn send_people(mut sorted: Sorted, parcels: &Sender<Parcel>, bytes: u64) -> Result<(), Error> {
    let mut parcel = Parcel { bytes, ..Parcel::default() };
    while let Some(person) = sorted.next()? {
        match parcel.people.last_mut() {
            Some(same) if same.key == person.key => {
                same.learn(person);
                parcel.duplicates += 1;
            }
            _ => {
                if parcel.people.len() >= CHUNK {
                    hand_over(parcels, &mut parcel)?;
                    parcel.bytes = bytes;
                }
                parcel.people.push(person);
            }
        }
    }
    hand_over(parcels, &mut parcel)
}

fn hand_over(parcels: &Sender<Parcel>, parcel: &mut Parcel) -> Result<(), Error> {
    parcels.blocking_send(std::mem::take(parcel)).map_err(|_| Error::Stopped)
}
