//! Bars, drawn as SVG by the server: the page's policy allows no inline style, so widths are attributes.

/// One part of a bar: its colour's class, where it starts and how wide it is, of 1,000.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    /// The class of its colour.
    pub(crate) colour: &'static str,
    /// Where it starts.
    pub(crate) x: String,
    /// How wide it is.
    pub(crate) width: String,
}

/// The gap between two parts.
const GAP: f64 = 2.0;

/// The parts of a bar of `whole`, side by side; empty ones are left out.
#[allow(clippy::cast_precision_loss)] // counts of mail are far below the whole numbers of an f64
pub(crate) fn slices(parts: &[(&'static str, i64)], whole: i64) -> Vec<Slice> {
    let mut x = 0.0;
    let mut slices = Vec::new();
    for &(colour, count) in parts.iter().filter(|(_, count)| *count > 0) {
        let room = count as f64 * 1000.0 / whole.max(1) as f64;
        // What is there is seen, however little it is.
        let width = (room - GAP).max(2.0);
        slices.push(Slice { colour, x: format!("{x:.1}"), width: format!("{width:.1}") });
        x += room.max(width + GAP);
    }
    slices
}

/// A bar of one part, on the scale of `most`.
pub(crate) fn bar(colour: &'static str, count: i64, most: i64) -> Vec<Slice> {
    slices(&[(colour, count)], most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_each_part_in_proportion_and_hides_none() {
        let bar = slices(&[("s-delivered", 998), ("s-soft", 0), ("s-hard", 2)], 1_000);
        assert_eq!(bar.len(), 2);
        assert_eq!((bar[0].x.as_str(), bar[0].width.as_str()), ("0.0", "996.0"));
        assert_eq!((bar[1].x.as_str(), bar[1].width.as_str()), ("998.0", "2.0"));
        assert!(slices(&[("s-hard", 0)], 0).is_empty());
    }
}
