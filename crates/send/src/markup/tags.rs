//! The template's own tags, each out of the way as one plain word while others read the markup around them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

/// A source without its template tags. `{{ a < b }}` or `{% if x %}` between two rows of a table would not survive who
/// reads HTML; a word of letters and digits does, in text, in attributes and in style sheets.
pub(super) struct Tags<'a> {
    source: &'a str,
    tags: Vec<Range<usize>>,
    /// How each word begins: by chance something that the source has nowhere.
    mark: String,
    /// The source with words for tags.
    pub(super) text: String,
}

/// A text with its tags put back.
pub(super) struct Restored {
    pub(super) text: String,
    /// Lines of the text on which a tag stands, and where that stands in the source; both counted from 1.
    pub(super) lines: Vec<(usize, usize)>,
}

impl<'a> Tags<'a> {
    /// Takes the tags out of `source`, whose syntax was found well.
    pub(super) fn out_of(source: &'a str) -> Self {
        let mark = unused("mergetag", source);
        let tags = find(source);
        let mut text = String::with_capacity(source.len());
        let mut after = 0;
        for (number, tag) in tags.iter().enumerate() {
            text.push_str(&source[after..tag.start]);
            // Writing to a String cannot fail.
            let _ = write!(text, "{mark}{number}z");
            after = tag.end;
        }
        text.push_str(&source[after..]);
        Self { source, tags, mark, text }
    }

    /// Puts the tags back.
    pub(super) fn put_back(&self, text: &str) -> Restored {
        let mut restored = Restored { text: String::with_capacity(text.len()), lines: vec![] };
        let (mut after, mut line, mut tag_line) = (0, 1, Lines::of(self.source));
        for (number, word) in self.words(text) {
            let before = &text[after..word.start];
            restored.text.push_str(before);
            line += newlines(before);
            let tag = self.tags[number].clone();
            restored.lines.push((line, tag_line.at(tag.start)));
            line += newlines(&self.source[tag.clone()]);
            restored.text.push_str(&self.source[tag]);
            after = word.end;
        }
        restored.text.push_str(&text[after..]);
        restored
    }

    /// The text with a single letter for each tag, which nothing can come between; `None` where there are not so many.
    pub(super) fn as_letters(&self) -> Option<String> {
        if self.tags.len() > LETTERS || self.source.contains(|c| number_of(c).is_some()) {
            return None;
        }
        let (mut text, mut after) = (String::with_capacity(self.text.len()), 0);
        for (number, word) in self.words(&self.text) {
            text.push_str(&self.text[after..word.start]);
            text.extend(char::from_u32(FIRST_LETTER + u32::try_from(number).ok()?));
            after = word.end;
        }
        text.push_str(&self.text[after..]);
        Some(text)
    }

    /// Puts the tags back where their letters stand.
    pub(super) fn put_back_letters(&self, text: &str) -> String {
        let mut restored = String::with_capacity(text.len());
        for c in text.chars() {
            match number_of(c).and_then(|number| self.tags.get(number)) {
                Some(tag) => restored.push_str(&self.source[tag.clone()]),
                None => restored.push(c),
            }
        }
        restored
    }

    /// Puts the tags back into a short part of the text; where they stood does not matter.
    pub(super) fn put_back_alone(&self, part: &str) -> String {
        let (mut restored, mut after) = (String::with_capacity(part.len()), 0);
        for (number, word) in self.words(part) {
            restored.push_str(&part[after..word.start]);
            restored.push_str(self.tag(number));
            after = word.end;
        }
        restored.push_str(&part[after..]);
        restored
    }

    /// The words alone that stand for tags in a part of the text.
    pub(super) fn words_in(&self, text: &str) -> String {
        self.words(text).map(|(_, word)| &text[word]).collect()
    }

    /// The first tag that does not stand in `text` any more, and its line in the source.
    pub(super) fn lost(&self, text: &str) -> Option<(&'a str, usize)> {
        let mut seen = vec![false; self.tags.len()];
        self.words(text).for_each(|(number, _)| seen[number] = true);
        let lost = &self.tags[seen.iter().position(|seen| !seen)?];
        Some((&self.source[lost.clone()], 1 + newlines(&self.source[..lost.start])))
    }

    /// The line of the source that holds the `offset` of the text, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + newlines(&self.put_back(&self.text[..self.text.floor_char_boundary(offset)]).text)
    }

    /// A word that the source has nowhere, and the text neither.
    pub(super) fn unused(&self, begin: &str) -> String {
        unused(begin, self.source)
    }

    /// Whether `text` holds a tag.
    pub(super) fn are_in(&self, text: &str) -> bool {
        text.contains(&self.mark)
    }

    /// How many tags `text` holds.
    pub(super) fn count_in(&self, text: &str) -> usize {
        self.words(text).count()
    }

    /// Whether no tag brings markup, and all statements are of the usual kinds.
    pub(super) fn are_plain(&self) -> bool {
        (0..self.tags.len()).all(|number| match self.keyword(number) {
            "" | "if" | "elif" | "else" | "endif" | "for" | "endfor" => {
                // A loop that calls itself lies in itself.
                !["safe", "recursive"].iter().any(|word| self.tag(number).contains(word))
            }
            _ => false,
        })
    }

    /// The names that statements give a meaning, anywhere; `None` where some do so in another way than `for` and `set`.
    pub(super) fn bound(&self) -> Option<BTreeSet<&'a str>> {
        let mut names = BTreeSet::new();
        for number in 0..self.tags.len() {
            let end = match self.keyword(number) {
                "" | "if" | "elif" | "else" | "endif" | "endfor" | "endset" | "raw" => continue,
                "for" => " in ",
                "set" => "=",
                _ => return None,
            };
            let tag = self.tag(number);
            let head = tag.split_once(end).map_or(tag, |(head, _)| head);
            names.extend(head.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty()));
            names.insert("loop");
        }
        Some(names)
    }

    /// Whether all statements choose among words, and are whole.
    pub(super) fn only_choose(&self) -> bool {
        let chooses = |number| matches!(self.keyword(number), "" | "if" | "elif" | "else" | "endif");
        (0..self.tags.len()).all(chooses) && self.are_whole(&self.text)
    }

    /// Whether each block that begins in `text` ends there too.
    pub(super) fn are_whole(&self, text: &str) -> bool {
        let mut depth = 0_usize;
        self.statements(text).all(|(number, _)| {
            match self.keyword(number) {
                "if" | "for" => depth += 1,
                "endif" | "endfor" if depth == 0 => return false,
                "endif" | "endfor" => depth -= 1,
                "elif" | "else" => return depth > 0,
                _ => {}
            }
            true
        }) && depth == 0
    }

    /// The statements in a part of the text (`{% … %}`): their numbers, and where they stand.
    pub(super) fn statements<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, Range<usize>)> + 't {
        self.words(text).filter(|(number, _)| !self.keyword(*number).is_empty())
    }

    /// `if` of `{%- if x %}`; nothing for what is no statement.
    pub(super) fn keyword(&self, number: usize) -> &'a str {
        let inner = self.tag(number).strip_prefix("{%").unwrap_or_default();
        let inner = inner.trim_start_matches(['-', '+']).trim_start();
        inner.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
    }

    fn tag(&self, number: usize) -> &'a str {
        &self.source[self.tags[number].clone()]
    }

    fn words<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, Range<usize>)> + 't {
        text.match_indices(&self.mark).filter_map(|(start, mark)| {
            let rest = &text[start + mark.len()..];
            let (digits, _) = rest.split_once('z')?;
            let number = digits.parse().ok().filter(|number| *number < self.tags.len())?;
            Some((number, start..start + mark.len() + digits.len() + 1))
        })
    }
}

/// Letters that mean nothing to anybody (Unicode, private use): so many, from this one on.
const LETTERS: usize = 0xfffd;
const FIRST_LETTER: u32 = 0xf_0000;

fn number_of(letter: char) -> Option<usize> {
    let number = usize::try_from(u32::from(letter).checked_sub(FIRST_LETTER)?).ok()?;
    (number < LETTERS).then_some(number)
}

/// A word that begins so and that `text` has nowhere, by chance.
fn unused(begin: &str, text: &str) -> String {
    loop {
        let word = format!("{begin}{:016x}x", rand::random::<u64>());
        if !text.contains(&word) {
            return word;
        }
    }
}

fn newlines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

/// Line numbers of places that mostly come in order, so that a long text is not counted again for each.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn at(&mut self, place: usize) -> usize {
        if place < self.at {
            (self.at, self.line) = (0, 1);
        }
        self.line += newlines(&self.text[self.at..place]);
        self.at = place;
        self.line
    }
}

/// Where the tags are: as the template reads them, with what quotes and braces hold. Behind one that never ends nothing is
/// looked for: the template refuses it.
fn find(source: &str) -> Vec<Range<usize>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(start) = source[at..].find('{').map(|start| at + start) {
        let inner = start + 2;
        let end = match source.as_bytes().get(start + 1) {
            Some(b'{') => end_of(source, inner, "}}"),
            Some(b'%') => match end_of_block(&source[inner..], "raw") {
                Some(length) => end_of_raw(source, inner + length),
                None => end_of(source, inner, "%}"),
            },
            Some(b'#') => source[inner..].find("#}").map(|end| inner + end + 2),
            _ => {
                at = start + 1;
                continue;
            }
        };
        let Some(end) = end else { break };
        tags.push(start..end);
        at = end;
    }
    tags
}

fn end_of(source: &str, inner: usize, closing: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let (mut at, mut open) = (inner, 0_usize);
    loop {
        match *bytes.get(at)? {
            quote @ (b'"' | b'\'') => at = end_of_string(bytes, at, quote)?,
            _ if open == 0 && bytes[at..].starts_with(closing.as_bytes()) => return Some(at + 2),
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
}

/// Where the string that begins at `at` has its other quote.
fn end_of_string(bytes: &[u8], at: usize, quote: u8) -> Option<usize> {
    let mut at = at + 1;
    while *bytes.get(at)? != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    Some(at)
}

/// The end of what is to be left alone: as a whole, it is one tag.
fn end_of_raw(source: &str, mut at: usize) -> Option<usize> {
    loop {
        at += source[at..].find("{%")? + 2;
        if let Some(length) = end_of_block(&source[at..], "endraw") {
            return Some(at + length);
        }
    }
}

/// How long the rest of a block is, if it is the one of that name and holds nothing else.
fn end_of_block(rest: &str, name: &str) -> Option<usize> {
    let after = rest.trim_start_matches(['-', '+']).trim_start().strip_prefix(name)?;
    let after = after.trim_start().trim_start_matches(['-', '+']).strip_prefix("%}")?;
    Some(rest.len() - after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_seen_as_the_template_sees_them() {
        for (source, expected) in [
            ("a {{ b }} c", vec!["{{ b }}"]),
            ("{{ a < b }}{% if x > 1 %}", vec!["{{ a < b }}", "{% if x > 1 %}"]),
            (r#"{{ "}}" ~ '%}\'' }}"#, vec![r#"{{ "}}" ~ '%}\'' }}"#]),
            ("{{ {'a': {}}['a'] }}", vec!["{{ {'a': {}}['a'] }}"]),
            ("{# }} {{ #}x", vec!["{# }} {{ #}"]),
            ("{% raw %}{{ a {%- endraw -%} b", vec!["{% raw %}{{ a {%- endraw -%}"]),
            ("p { color: red } {", vec![]),
            ("{{ a }}{{ open {{ b }", vec!["{{ a }}"]),
            ("{% raw %}{{ a }}", vec![]),
            ("{{ 'open", vec![]),
        ] {
            let found: Vec<&str> = find(source).into_iter().map(|tag| &source[tag]).collect();
            assert_eq!(found, expected, "{source}");
        }
    }

    #[test]
    fn tags_come_back_with_their_lines() {
        let source = "mergetag0z\n{{ a }}<td {% if\nx %}>\n{{ b }}";
        let tags = Tags::out_of(source);
        assert!(!tags.text.contains('{') && tags.text.starts_with("mergetag0z"), "{}", tags.text);
        let restored = tags.put_back(&format!("\n\n{}", tags.text));
        assert_eq!(restored.text, format!("\n\n{source}"));
        assert_eq!(restored.lines, [(4, 2), (4, 2), (6, 4)]);
        assert_eq!(tags.lost(&tags.text[..tags.text.len() - 1]), Some(("{{ b }}", 4)));
        assert_eq!(tags.put_back(&tags.words_in(&tags.text)).text, "{{ a }}{% if\nx %}{{ b }}");
        let letters = tags.as_letters().unwrap();
        assert_eq!(letters, "mergetag0z\n\u{f0000}<td \u{f0001}>\n\u{f0002}");
        assert_eq!(tags.put_back_letters(&letters), source);
        assert_eq!(Tags::out_of("{{ a }}\u{f0000}").as_letters(), None);
    }
}
