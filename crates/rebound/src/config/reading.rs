//! Taking settings out of a table one by one, and keeping what is wrong with them.

use std::collections::HashMap;
use std::ops::RangeInclusive;

/// A table that is being read.
pub(super) struct Reading {
    settings: HashMap<String, toml::Value>,
    mistakes: Vec<String>,
}

impl Reading {
    pub(super) fn new(table: toml::Table, environment: impl Iterator<Item = (String, String)>) -> Self {
        let mut settings = HashMap::new();
        for (key, value) in table {
            match value {
                toml::Value::Table(section) => {
                    settings.extend(section.into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)));
                }
                value => drop(settings.insert(key, value)),
            }
        }
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix("REBOUND_").and_then(setting_of) {
                settings.insert(key, toml::Value::String(value));
            }
        }
        Self { settings, mistakes: vec![] }
    }

    /// Whether anything is set in `section`.
    pub(super) fn has(&self, section: &str) -> bool {
        self.settings.keys().any(|key| key.split('.').next() == Some(section))
    }

    pub(super) fn text(&mut self, key: &str, default: &str) -> String {
        match self.settings.remove(key) {
            None => default.to_owned(),
            Some(toml::Value::String(text)) => text,
            Some(_) => {
                self.mistakes.push(format!("{key} must be text in quotes"));
                default.to_owned()
            }
        }
    }

    pub(super) fn required(&mut self, key: &str, what: &str) -> String {
        let text = self.text(key, "");
        if text.is_empty() {
            self.mistakes.push(format!("{key} is missing: {what}"));
        }
        text
    }

    /// What is wrong with several settings together.
    pub(super) fn mistake(&mut self, text: &str) {
        self.mistakes.push(text.to_owned());
    }

    /// A text that `check` makes a value of. The default must pass it.
    pub(super) fn checked<T>(&mut self, key: &str, default: &str, check: impl Fn(String) -> Result<T, String>) -> T {
        let text = self.text(key, default);
        match check(text.clone()) {
            Ok(value) => value,
            Err(why) => {
                self.mistakes.push(format!("{key} = \"{text}\" {why}"));
                match check(default.to_owned()) {
                    Ok(value) => value,
                    // A default that fails its own check is a fault of this program, and a test finds it.
                    Err(why) => unreachable!("the default of {key} {why}"),
                }
            }
        }
    }

    /// Texts in brackets, or in one text with commas between them, each made a value by `check`.
    pub(super) fn list<T>(&mut self, key: &str, check: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let texts: Vec<String> = match self.settings.remove(key) {
            None => return vec![],
            Some(toml::Value::String(text)) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Some(toml::Value::Array(values)) if values.iter().all(toml::Value::is_str) => {
                values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
            }
            Some(_) => {
                self.mistakes.push(format!("{key} must be a list of texts in brackets"));
                return vec![];
            }
        };
        let mut list = Vec::new();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            match check(text) {
                Ok(value) => list.push(value),
                Err(why) => self.mistakes.push(format!("{key}: \"{text}\" {why}")),
            }
        }
        list
    }

    pub(super) fn number(&mut self, key: &str, default: i64, range: RangeInclusive<i64>) -> i64 {
        let number = match self.settings.remove(key) {
            None => return default,
            Some(toml::Value::Integer(number)) => Some(number),
            Some(toml::Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                self.mistakes.push(format!("{key} must be a whole number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// What was wrong, settings that nobody asked for included.
    pub(super) fn finish(mut self) -> Vec<String> {
        let mut unknown: Vec<String> = self.settings.into_keys().map(|key| format!("{key} is no setting")).collect();
        unknown.sort();
        self.mistakes.extend(unknown);
        self.mistakes
    }
}

/// `RELAY_PASSWORD` → `relay.password`. Names that are no setting belong to others, such as `REBOUND_LOG`.
fn setting_of(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "database" | "key_file" | "public_url" | "listen" | "trusted_proxies" | "nameserver" => Some(name),
        _ => ["return_path", "relay", "direct"].into_iter().find_map(|section| {
            let rest = name.strip_prefix(section)?.strip_prefix('_')?;
            Some(format!("{section}.{rest}"))
        }),
    }
}
