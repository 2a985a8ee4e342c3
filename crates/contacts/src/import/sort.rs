//! People in the order of their addresses, so that those who come twice meet, however large the file.
//!
//! What does not fit into memory is written to temporary files in sorted runs, and the runs are merged.

use super::columns::Person;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Lines, Result as IoResult, Seek, Write};

/// How much is kept in memory before it is written out: an estimate, in bytes.
const BUDGET: usize = 48 * 1024 * 1024;

/// Takes people in any order.
#[derive(Default)]
pub(super) struct Sorter {
    people: Vec<Person>,
    size: usize,
    runs: Vec<File>,
}

/// Gives them back, by address; the same address by line.
pub(super) struct Sorted {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<Head>>,
}

enum Run {
    Memory(std::vec::IntoIter<Person>),
    File(Lines<BufReader<File>>),
}

struct Head {
    person: Person,
    run: usize,
}

impl Sorter {
    pub(super) fn push(&mut self, person: Person) -> IoResult<()> {
        let fields: usize = person.fields.iter().map(|(name, value)| 96 + name.len() + value.len()).sum();
        self.size += 160 + 2 * person.key.as_str().len() + fields;
        self.people.push(person);
        if self.size > BUDGET { self.spill() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> IoResult<Sorted> {
        self.people.sort_unstable_by(order);
        let mut runs = vec![Run::Memory(self.people.into_iter())];
        for mut file in self.runs {
            file.rewind()?;
            runs.push(Run::File(BufReader::new(file).lines()));
        }
        let mut sorted = Sorted { runs, heads: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }

    fn spill(&mut self) -> IoResult<()> {
        self.people.sort_unstable_by(order);
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for person in self.people.drain(..) {
            serde_json::to_writer(&mut file, &person)?;
            file.write_all(b"\n")?;
        }
        self.size = 0;
        self.runs.push(file.into_inner().map_err(std::io::IntoInnerError::into_error)?);
        Ok(())
    }
}

impl Sorted {
    pub(super) fn next(&mut self) -> IoResult<Option<Person>> {
        let Some(Reverse(Head { person, run })) = self.heads.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some(person))
    }

    fn advance(&mut self, run: usize) -> IoResult<()> {
        let person = match self.runs.get_mut(run) {
            Some(Run::Memory(people)) => people.next(),
            Some(Run::File(lines)) => lines.next().transpose()?.map(|line| serde_json::from_str(&line)).transpose()?,
            None => None,
        };
        self.heads.extend(person.map(|person| Reverse(Head { person, run })));
        Ok(())
    }
}

fn order(one: &Person, other: &Person) -> Ordering {
    (&one.key, one.line).cmp(&(&other.key, other.line))
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.person, &other.person)
    }
}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Head {}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_domain::{EmailAddress, Fields};

    fn person(number: i64) -> Person {
        let address: EmailAddress = format!("p{:05}@orchard.example", (number * 7919) % 1000).parse().unwrap();
        Person { key: address.key(), line: number, address, fields: Fields::new() }
    }

    #[test]
    fn what_was_written_out_comes_back_in_order() {
        let mut sorter = Sorter::default();
        for number in 0..3000 {
            sorter.push(person(number)).unwrap();
            if number % 700 == 699 {
                sorter.spill().unwrap();
            }
        }
        assert_eq!(sorter.runs.len(), 4);
        let mut sorted = sorter.finish().unwrap();
        let mut found = Vec::new();
        while let Some(person) = sorted.next().unwrap() {
            found.push((person.key, person.line));
        }
        assert_eq!(found.len(), 3000);
        assert!(found.is_sorted());
    }
}
