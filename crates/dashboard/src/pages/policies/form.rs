//! The form of a policy: a field per number.

use crate::words::colour;
use rebound_domain::{BadSetting, Case, CauseGroup, Consequence, IncidentScope, Number, Policy, Setting};
use serde::Deserialize;
use std::collections::HashMap;
use std::ops::Range;

/// What somebody wrote into the form: each field by its name.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Written(HashMap<String, String>);

impl Written {
    fn number(&self, name: &str) -> Option<u32> {
        self.0.get(name)?.trim().parse().ok()
    }

    /// The version that was before their eyes.
    pub(super) fn based_on(&self) -> Option<u32> {
        self.number("based_on")
    }

    /// The earlier version that they begin with.
    pub(super) fn from(&self) -> Option<u32> {
        self.number("from")
    }

    pub(super) fn why(&self) -> &str {
        self.0.get("why").map_or("", |why| why.trim())
    }

    /// `begin` with the numbers that were written, and what is wrong with those that make no sense.
    pub(super) fn policy(&self, begin: &Policy) -> (Policy, Vec<(Setting, BadSetting)>) {
        let (mut policy, mut faults) = (begin.clone(), vec![]);
        for (setting, _) in begin.settings() {
            let Some(text) = self.0.get(&setting.to_string()) else { continue };
            // Beyond every range, as what is no number.
            let value = text.trim().parse().unwrap_or(u32::MAX);
            if let Err(fault) = policy.set(setting, value) {
                faults.push((setting, fault));
            }
        }
        faults.extend(policy.contradictions());
        (policy, faults)
    }
}

/// A number in the form.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    /// The label of the column that it stands in.
    pub(crate) short: &'static str,
    /// As it was written, or as it is.
    pub(crate) value: String,
    /// What is in force, where this is something else.
    pub(crate) was: Option<u32>,
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) fault: Option<String>,
}

/// A row of the table.
pub(crate) struct Line {
    pub(crate) colour: &'static str,
    pub(crate) letter: &'static str,
    pub(crate) title: &'static str,
    pub(crate) sub: String,
    /// In the order of the columns; `None` where the row has no such number.
    pub(crate) fields: Vec<Option<Field>>,
    /// What it leads to where nothing is counted.
    pub(crate) leads_to: Option<String>,
}

impl Line {
    /// Whether the same message goes out again.
    pub(crate) fn is_retried(&self) -> bool {
        self.fields.iter().take(3).any(Option::is_some)
    }

    fn is_touched(&self, columns: Range<usize>) -> bool {
        let fields = self.fields.get(columns).unwrap_or_default();
        fields.iter().flatten().any(|field| field.was.is_some() || field.fault.is_some())
    }
}

/// The rows of one group of causes: they fold together.
pub(crate) struct Group {
    pub(crate) group: CauseGroup,
    lines: Vec<Line>,
}

impl Group {
    /// The rows that have numbers of rests.
    pub(crate) fn counted(&self) -> Vec<&Line> {
        self.lines.iter().filter(|line| line.leads_to.is_none()).collect()
    }

    /// The rows of which nothing is counted: what they lead to is fixed.
    pub(crate) fn fixed(&self) -> Vec<&Line> {
        self.lines.iter().filter(|line| line.leads_to.is_some()).collect()
    }

    /// The rows whose message goes out again.
    pub(crate) fn retried(&self) -> Vec<&Line> {
        self.lines.iter().filter(|line| line.is_retried()).collect()
    }

    /// Whether somebody must see the numbers of rests: one is different, or makes no sense.
    pub(crate) fn is_rest_touched(&self) -> bool {
        self.lines.iter().any(|line| line.is_touched(3..6))
    }

    /// The same of the numbers of retries.
    pub(crate) fn is_retry_touched(&self) -> bool {
        self.lines.iter().any(|line| line.is_touched(0..3))
    }
}

/// The columns of the two tables.
const COLUMNS: [Number; 6] =
    [Number::GiveUpHours, Number::BaseMinutes, Number::CapMinutes, Number::Limit, Number::OverDays, Number::RestDays];

pub(super) fn groups(
    policy: &Policy,
    in_force: &Policy,
    written: &Written,
    faults: &[(Setting, BadSetting)],
) -> Vec<Group> {
    let of_group = |group: CauseGroup| Case::all().filter(move |case| case.cause().group() == group);
    let line = |case: Case| {
        let field = |number| field(Setting::Of(case, number), policy, in_force, written, faults);
        let cause = case.cause();
        Line {
            colour: colour(cause.group()),
            letter: cause.group().as_str(),
            title: cause.title(),
            sub: case.said().unwrap_or_default().to_owned(),
            fields: COLUMNS.into_iter().map(field).collect(),
            leads_to: leads_to(policy.row_of(case).consequence, policy),
        }
    };
    CauseGroup::ALL.into_iter().map(|group| Group { group, lines: of_group(group).map(line).collect() }).collect()
}

/// What a cause leads to where nothing is counted; none of it can be changed.
fn leads_to(consequence: Consequence, policy: &Policy) -> Option<String> {
    Some(match consequence {
        Consequence::Counted { .. } => return None,
        Consequence::AtOnce => "Suppressed at the first bounce.".to_owned(),
        Consequence::SecondTime => {
            format!("Suppressed when it comes again, {} days later or more.", policy.second_time_days)
        }
        Consequence::LaneOnly => "Slows mail to that provider; never counted.".to_owned(),
        Consequence::Incident { scope } => format!("Incident of {}; never counted.", of(scope)),
        Consequence::Nothing { repeats: 0 } => "Kept and shown; never counted.".to_owned(),
        Consequence::Nothing { repeats } => format!("Never counted; incident from number {repeats} of a day on."),
    })
}

fn of(scope: IncidentScope) -> &'static str {
    match scope {
        IncidentScope::Campaign => "the campaign",
        IncidentScope::Route => "the route to that provider",
        IncidentScope::SendingDomain => "the sending domain",
    }
}

/// The numbers that are not of one cause.
pub(super) fn whole(
    policy: &Policy,
    in_force: &Policy,
    written: &Written,
    faults: &[(Setting, BadSetting)],
) -> Vec<Field> {
    let is_whole =
        |(setting, _): &(Setting, u32)| !matches!(setting, Setting::Of(_, number) if COLUMNS.contains(number));
    let settings = policy.settings().into_iter().filter(is_whole);
    settings.filter_map(|(setting, _)| field(setting, policy, in_force, written, faults)).collect()
}

fn field(
    setting: Setting,
    policy: &Policy,
    in_force: &Policy,
    written: &Written,
    faults: &[(Setting, BadSetting)],
) -> Option<Field> {
    let value = policy.get(setting)?;
    let name = setting.to_string();
    let range = setting.range();
    let fault = faults.iter().find(|(at, _)| *at == setting).map(|(_, fault)| fault.to_string());
    Some(Field {
        label: setting.title(),
        short: match setting {
            Setting::Of(_, number) => number.title(),
            _ => "",
        },
        value: written.0.get(&name).cloned().unwrap_or_else(|| value.to_string()),
        was: in_force.get(setting).filter(|was| *was != value || fault.is_some()),
        least: *range.start(),
        most: *range.end(),
        fault,
        name,
    })
}
