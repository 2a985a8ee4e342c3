//! People for the demo: the same ones for the same seed.

use std::collections::HashSet;

use crate::chance::Chance;
use crate::domains::DOMAINS;
use crate::mailboxes::{Behaviour, DOMAIN};

/// A made-up contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The address; its domain decides the behaviour.
    pub email: String,
    /// Given name, in UTF-8.
    pub first_name: String,
    /// Family name, in UTF-8.
    pub last_name: String,
    /// Where the person lives.
    pub city: String,
    /// How the person's host behaves.
    pub behaviour: Behaviour,
}

/// How many of 1,000 people have a host of each behaviour; all others are fine.
///
/// No cause stands out, as with a list in fair health: 4.0 % unknown mailboxes, 2.5 % full for
/// ever, 2.0 % down for ever, 1.5 % too large, 1.5 % spam, 0.1 % complaints.
const PER_MILLE: &[(Behaviour, usize)] = &[
    (Behaviour::Full, 25),
    (Behaviour::FullThenEmptied, 25),
    (Behaviour::FullByReport, 15),
    (Behaviour::Gone, 25),
    (Behaviour::GoneByReport, 10),
    (Behaviour::Down, 20),
    (Behaviour::DownThenUp, 25),
    (Behaviour::TooLarge, 15),
    (Behaviour::SpamFilter, 15),
    (Behaviour::Greylisting, 40),
    (Behaviour::Slow, 20),
    (Behaviour::RateLimited, 20),
    (Behaviour::Forwards, 5),
    (Behaviour::OutOfOffice, 15),
    (Behaviour::Complains, 1),
];

const FIRST_NAMES: &[&str] = &[
    "Ada", "Amir", "Anna", "Ayşe", "Ben", "Björn", "Carla", "Chen", "Clara", "Diego", "Elena", "Emma", "Farah", "Finn",
    "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Julia", "Kofi", "Lena", "Leo", "Lucía", "Maja", "Marco", "Mia",
    "Nadia", "Noah", "Olga", "Omar", "Paul", "Priya", "René", "Rosa", "Sam", "Sara", "Sofia", "Tariq", "Theo", "Uma",
    "Vera", "Wei", "Yara", "Yuki", "Zoë", "Łukasz",
];

const LAST_NAMES: &[&str] = &[
    "Abbott", "Adler", "Bauer", "Becker", "Bianchi", "Brown", "Costa", "Demir", "Dubois", "Evans", "Fischer", "García",
    "Gruber", "Haas", "Hoffmann", "Ito", "Jansen", "Keller", "Kovač", "Kumar", "Lang", "Larsen", "Lehmann", "Lopez",
    "Mayer", "Mensah", "Meyer", "Moreau", "Müller", "Nguyen", "Novak", "Okafor", "Olsen", "Peters", "Popov", "Quinn",
    "Rossi", "Sato", "Schäfer", "Silva", "Singh", "Smith", "Tanaka", "Usman", "Vogel", "Weber", "Young", "Zimmer",
];

const CITIES: &[&str] = &[
    "Accra",
    "Athens",
    "Bergen",
    "Bilbao",
    "Bologna",
    "Bristol",
    "Cork",
    "Dresden",
    "Ghent",
    "Graz",
    "Hanoi",
    "Izmir",
    "Kraków",
    "Kyoto",
    "Leipzig",
    "Lima",
    "Lyon",
    "Malmö",
    "Montréal",
    "Nairobi",
    "Porto",
    "Pune",
    "Utrecht",
    "Zürich",
];

/// `count` people, no two with one address, the behaviours evenly mixed from first to last.
///
/// From 100 people on every behaviour of the demo's list is there at least once.
pub fn people(count: usize, seed: u64) -> Vec<Person> {
    let mut chance = Chance::new(seed);
    let mut taken = HashSet::with_capacity(count);
    let mut domains = Domains::default();
    let mixed = mix(&shares(count), &mut chance);
    let mixed = mixed.into_iter().take(count);
    mixed.map(|behaviour| person(behaviour, &mut chance, &mut domains, &mut taken)).collect()
}

/// How many people of each behaviour.
fn shares(count: usize) -> Vec<(Behaviour, usize)> {
    let least = usize::from(count >= 100);
    let mut shares: Vec<_> =
        PER_MILLE.iter().map(|(behaviour, share)| (*behaviour, (count * share / 1000).max(least))).collect();
    for (behaviour, number) in &mut shares {
        if *behaviour == Behaviour::Complains {
            *number = (*number).min(3);
        }
    }
    let others: usize = shares.iter().map(|(_, number)| number).sum();
    shares.push((Behaviour::Fine, count.saturating_sub(others)));
    shares
}

/// Spreads each behaviour evenly over the whole, at random within its stride, so that no stretch
/// of a campaign is worse than another.
fn mix(shares: &[(Behaviour, usize)], chance: &mut Chance) -> Vec<Behaviour> {
    let mut places = Vec::new();
    for (behaviour, number) in shares {
        for index in 0..*number {
            places.push(((index as f64 + chance.share()) / *number as f64, *behaviour));
        }
    }
    places.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    places.into_iter().map(|(_, behaviour)| behaviour).collect()
}

/// Deals the domains of each behaviour in turn.
#[derive(Default)]
struct Domains(std::collections::HashMap<Behaviour, usize>);

impl Domains {
    fn next(&mut self, behaviour: Behaviour) -> &'static str {
        let names = DOMAINS.iter().find(|(listed, _)| *listed == behaviour).map_or(&[][..], |(_, names)| names);
        let turn = self.0.entry(behaviour).or_default();
        *turn += 1;
        names.get(*turn % names.len().max(1)).copied().unwrap_or("orchard")
    }
}

fn person(behaviour: Behaviour, chance: &mut Chance, domains: &mut Domains, taken: &mut HashSet<String>) -> Person {
    let first_name = chance.pick(FIRST_NAMES).unwrap_or_default();
    let last_name = chance.pick(LAST_NAMES).unwrap_or_default();
    let city = chance.pick(CITIES).unwrap_or_default();
    let local = format!("{}.{}", ascii(first_name), ascii(last_name));
    let domain = domains.next(behaviour);
    let mut email = format!("{local}@{domain}.{DOMAIN}");
    let mut number = 2;
    while !taken.insert(email.clone()) {
        email = format!("{local}{number}@{domain}.{DOMAIN}");
        number += 1;
    }
    Person {
        email,
        first_name: first_name.to_owned(),
        last_name: last_name.to_owned(),
        city: city.to_owned(),
        behaviour,
    }
}

/// The name as an address has it: lower case, without accents.
fn ascii(name: &str) -> String {
    let plain = |letter: char| match letter {
        'ä' => 'a',
        'é' | 'ë' => 'e',
        'í' => 'i',
        'ö' => 'o',
        'ü' => 'u',
        'ş' => 's',
        'č' => 'c',
        'ł' => 'l',
        other => other,
    };
    name.to_lowercase().chars().map(plain).filter(char::is_ascii).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailboxes::behaviour_of;

    fn count(people: &[Person], behaviour: Behaviour) -> usize {
        people.iter().filter(|person| person.behaviour == behaviour).count()
    }

    #[test]
    fn the_same_seed_gives_the_same_people() {
        assert_eq!(people(500, 7), people(500, 7));
        assert_ne!(people(500, 7), people(500, 8));
        assert!(people(0, 7).is_empty());
        for few in [1, 10, 99, 100, 101] {
            assert_eq!(people(few, 7).len(), few);
        }
    }

    #[test]
    fn addresses_are_unique_plain_and_behave_as_they_say() {
        let people = people(2_000, 1);
        let addresses: HashSet<_> = people.iter().map(|person| &person.email).collect();
        assert_eq!(addresses.len(), 2_000);
        for person in &people {
            assert!(person.email.is_ascii() && !person.email.starts_with('.'), "{}", person.email);
            assert_eq!(behaviour_of(&person.email), person.behaviour, "{}", person.email);
        }
    }

    #[test]
    fn most_are_fine_and_no_cause_stands_out() {
        let people = people(2_000, 1);
        assert!((1_400..1_500).contains(&count(&people, Behaviour::Fine)));
        assert!(count(&people, Behaviour::Gone) + count(&people, Behaviour::GoneByReport) <= 80);
        assert!((1..=3).contains(&count(&people, Behaviour::Complains)));
        for (behaviour, _) in PER_MILLE {
            assert!((1..=100).contains(&count(&people, *behaviour)), "{behaviour:?}");
        }
    }

    #[test]
    fn behaviours_are_evenly_mixed() {
        let people = people(2_000, 1);
        for stretch in people.chunks(200) {
            assert!((3..=7).contains(&count(stretch, Behaviour::Gone)));
            assert!((130..=160).contains(&count(stretch, Behaviour::Fine)));
        }
    }
}
