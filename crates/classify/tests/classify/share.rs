//! How many of how many were right.

/// A share of right ones.
#[derive(Default)]
pub(crate) struct Share {
    pub(crate) right: u32,
    pub(crate) of: u32,
}

impl Share {
    pub(crate) fn count(&mut self, right: bool) {
        self.of += 1;
        self.right += u32::from(right);
    }

    pub(crate) fn percent(&self) -> f64 {
        100.0 * f64::from(self.right) / f64::from(self.of.max(1))
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} % ({}/{})", self.percent(), self.right, self.of)
    }
}
