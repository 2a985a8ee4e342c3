//! The host's own words, cut into what led to the verdict and what did not.

use rebound_domain::Evidence;

/// A piece of the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) words: String,
    pub(crate) is_marked: bool,
}

/// Cuts `words` at the evidence. Overlapping marks become one; what does not fit the words is left out.
pub(crate) fn marked(words: &str, evidence: &[Evidence]) -> Vec<Piece> {
    let mut spans: Vec<(usize, usize)> = evidence
        .iter()
        .filter(|one| one.start < one.end && words.get(one.start..one.end).is_some())
        .map(|one| (one.start, one.end))
        .collect();
    spans.sort_unstable();
    let mut pieces = Vec::new();
    let mut at = 0;
    for (start, end) in spans {
        let start = start.max(at);
        if start >= end {
            continue;
        }
        push(&mut pieces, words.get(at..start), false);
        push(&mut pieces, words.get(start..end), true);
        at = end;
    }
    push(&mut pieces, words.get(at..), false);
    pieces
}

fn push(pieces: &mut Vec<Piece>, words: Option<&str>, is_marked: bool) {
    if let Some(words) = words.filter(|words| !words.is_empty()) {
        pieces.push(Piece { words: words.to_owned(), is_marked });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_domain::EvidenceField;

    #[test]
    fn the_words_stay_whole_whatever_is_marked() {
        let words = "552 5.2.2 <zoë@x>: mailbox full, quota exceeded";
        let full = words.find("mailbox full").unwrap();
        let at = |(start, end)| Evidence {
            rule: String::new(),
            matched: String::new(),
            start,
            end,
            field: EvidenceField::Reply,
            raw: None,
        };
        for spans in [
            vec![],
            vec![(full, full + 12)],
            vec![(full, full + 12), (full + 8, full + 20)],
            vec![(0, 999)],
            vec![(13, 14), (5, 5)],
        ] {
            let evidence: Vec<Evidence> = spans.into_iter().map(at).collect();
            let pieces = marked(words, &evidence);
            assert_eq!(pieces.iter().map(|piece| piece.words.as_str()).collect::<String>(), words);
        }
        let evidence = [at((full, full + 12))];
        assert_eq!(marked(words, &evidence)[1], Piece { words: "mailbox full".into(), is_marked: true });
    }
}
