//! How often a verdict is right, by how far its cause stands out.

use serde::Deserialize;

/// The share of right verdicts at some scores, measured on labelled messages; between them, a straight line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calibration {
    /// Score in percent and share of right verdicts in percent, both rising.
    points: Vec<(u8, u8)>,
}

impl Calibration {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    /// How sure a verdict of this score is, in percent. Without points, the score itself.
    pub(crate) fn percent(&self, score: u8) -> u8 {
        let after = self.points.iter().position(|(at, _)| *at >= score);
        let (low, high) = match after {
            Some(0) | None => {
                return self
                    .points
                    .first()
                    .filter(|_| after.is_some())
                    .or(self.points.last())
                    .map_or(score, |(_, p)| *p);
            }
            Some(after) => (self.points.get(after - 1), self.points.get(after)),
        };
        let (Some(&(x0, y0)), Some(&(x1, y1))) = (low, high) else { return score };
        let along = f64::from(score - x0) / f64::from((x1 - x0).max(1));
        let percent = f64::from(y0) + along * (f64::from(y1) - f64::from(y0));
        percent.round().clamp(1.0, 99.0) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_points_lies_a_straight_line() {
        let calibration = Calibration { points: vec![(10, 50), (50, 70), (90, 98)] };
        for (score, expected) in [(1, 50), (10, 50), (30, 60), (50, 70), (70, 84), (90, 98), (99, 98)] {
            assert_eq!(calibration.percent(score), expected, "{score}");
        }
        assert_eq!(Calibration::default().percent(42), 42);
    }

    #[test]
    fn the_table_can_be_read_and_rises() {
        let table = Calibration::read(include_str!("../../rules/calibration.toml")).unwrap();
        assert!(table.points.len() >= 4 && table.points.is_sorted());
        assert!(table.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
    }
}
