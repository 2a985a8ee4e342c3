//! The figures of the program and of the simulation, side by side.

use super::simulation::Wave;

/// What came of one receiver's mail.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// Share of the mail that arrived by the end, in percent.
    pub(super) arrived: f64,
    /// How long a message waited on average, from its wave on, in minutes; until the end where it did not arrive.
    pub(super) wait: f64,
    /// Tries for each message that arrived.
    pub(super) tries: f64,
    /// Second and later tries among all tries, in percent.
    pub(super) again: f64,
    /// Tries that were refused for the rate or for connections, in percent.
    pub(super) too_fast: f64,
}

/// How far a figure may be from the range of those that were simulated. The program has letters ready while it learns,
/// as many as its lines take in some seconds of its time, and these go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    /// Percentage points of the mail that arrived.
    arrived: f64,
    /// Minutes of its wait, or a share of it.
    wait: (f64, f64),
    /// A share of the tries.
    tries: f64,
    /// Percentage points of the tries that were made again, or too fast.
    refused: f64,
}

/// How far they may be apart, on a machine that does not much else.
pub(super) const MAY: Tolerance = Tolerance { arrived: 8.0, wait: (6.0, 0.4), tries: 0.15, refused: 12.0 };

const FIGURES: [&str; 5] = ["arrived, %", "the wait, min", "tries for each that arrived", "again, %", "too fast, %"];

impl Outcome {
    /// From the times of arrival, tries, messages tried, and tries refused for the rate.
    pub(super) fn of(waves: &[Wave], until: f64, arrivals: &[f64], (tried, first, refused): (u64, u64, u64)) -> Self {
        let offered: u64 = waves.iter().map(|(_, count)| count).sum();
        let begun: f64 = waves.iter().map(|(at, count)| at * *count as f64).sum();
        let late = (offered as f64 - arrivals.len() as f64) * until;
        let waited = arrivals.iter().sum::<f64>() + late - begun;
        let percent = |part: f64, whole: f64| part * 100.0 / whole.max(1.0);
        Self {
            arrived: percent(arrivals.len() as f64, offered as f64),
            wait: waited / offered as f64 / 60.0,
            tries: tried as f64 / arrivals.len().max(1) as f64,
            again: percent((tried - first) as f64, tried as f64),
            too_fast: percent(refused as f64, tried as f64),
        }
    }

    fn figures(&self) -> [f64; 5] {
        [self.arrived, self.wait, self.tries, self.again, self.too_fast]
    }
}

/// The least and the most that each figure comes to.
fn range(outcomes: &[Outcome]) -> [(f64, f64); 5] {
    let mut range = [(f64::INFINITY, f64::NEG_INFINITY); 5];
    for outcome in outcomes {
        for (known, figure) in range.iter_mut().zip(outcome.figures()) {
            *known = (known.0.min(figure), known.1.max(figure));
        }
    }
    range
}

impl Tolerance {
    fn of(self, place: usize, simulated: f64) -> f64 {
        match place {
            0 => self.arrived,
            1 => self.wait.0.max(self.wait.1 * simulated),
            2 => self.tries * simulated,
            _ => self.refused,
        }
    }
}

/// Prints what was sent beside what was simulated, several times, and tells where they are too far from each other.
pub(super) fn compare(names: &[&str], sent: &[Outcome], simulated: &[Vec<Outcome>], may: Tolerance) -> Vec<String> {
    eprintln!(
        "| Receiver | arrived, % | simulated | wait, min | simulated | tries | simulated | again, % | simulated | too \
         fast, % | simulated |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let mut wrong = Vec::new();
    for (place, (name, one)) in names.iter().zip(sent).enumerate() {
        let others: Vec<Outcome> = simulated.iter().map(|outcomes| outcomes[place]).collect();
        let (mut row, range) = (format!("| {name} |"), range(&others));
        for (place, (figure, (least, most))) in one.figures().into_iter().zip(range).enumerate() {
            let digits = if place == 2 { 2 } else { 1 };
            row += &format!(" {figure:.digits$} | {least:.digits$} – {most:.digits$} |");
            if figure < least - may.of(place, least) || figure > most + may.of(place, most) {
                wrong.push(format!("{name}: {} is {figure:.2}, simulated {least:.2} – {most:.2}", FIGURES[place]));
            }
        }
        eprintln!("{row}");
    }
    wrong
}
