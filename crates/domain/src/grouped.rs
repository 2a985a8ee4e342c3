//! Numbers as people read them.

use std::fmt;

/// A number with its thousands apart.
///
/// ```
/// use rebound_domain::Grouped;
/// assert_eq!(Grouped(1_234_567).to_string(), "1,234,567");
/// assert_eq!(Grouped(-999).to_string(), "−999");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouped(pub i64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().to_string();
        if self.0 < 0 {
            f.write_str("−")?;
        }
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
