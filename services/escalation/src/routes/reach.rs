//! Which routes can ever be taken.
//!
//! Conditions compare variables with constants, so what they say changes only at those constants. One value for each
//! constant, for each gap between and beyond them, for an unmentioned text and for absence stands for all others that
//! a variable may have; every combination of such values is asked, by the evaluator that will be asked in earnest. A
//! route that holds nowhere, or only where an earlier one holds, can never be taken.
//!
//! Where there are more than [`POINTS_MAX`] combinations, each route is compared with every earlier one alone, over the
//! variables of the two: a route that only several earlier ones together shadow is then not found, nor is one whose
//! shadow shows only at more combinations than that. A policy that asks for more than [`PAIRED_POINTS_MAX`] so is
//! refused, for a policy is judged where it is folded, and other records wait.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Constants, Domain, Variable, constants};
use super::{Conditions, Scalar, called, context, holds};
use crate::policy::Policy;
use crate::session::LABEL_BYTES_MAX;
use crate::signal::Trigger;

/// Combinations of values that are asked.
const POINTS_MAX: usize = 20_000;

/// Combinations that are asked of all pairs together.
const PAIRED_POINTS_MAX: usize = 200_000;

/// One value for each variable that conditions ask for.
type Point = BTreeMap<Variable, Scalar>;

/// The values that stand for all that each variable may have.
type Values = BTreeMap<Variable, Vec<Scalar>>;

/// Every route that can never be taken, a sentence each.
pub(super) fn faults(conditions: &Conditions, policy: &Policy) -> Vec<String> {
    let all: Vec<usize> = (0..conditions.0.len()).collect();
    match of(conditions, policy, &all) {
        Some(reach) => all.iter().filter_map(|place| reach.fault(*place, policy)).collect(),
        None => in_pairs(conditions, policy),
    }
}

fn in_pairs(conditions: &Conditions, policy: &Policy) -> Vec<String> {
    let places = 0..conditions.0.len();
    let pairs = places.clone().flat_map(|place| (0..place).map(move |earlier| vec![earlier, place]));
    let asked = places.clone().map(|place| vec![place]).chain(pairs);
    let points: usize = asked.filter_map(|places| count(&values_at(conditions, policy, &places))).sum();
    if points > PAIRED_POINTS_MAX {
        return vec![format!(
            "routes: their conditions compare with too many values: to tell which can match, {points} combinations would have to be \
             asked, and {PAIRED_POINTS_MAX} may be"
        )];
    }
    let mut faults = Vec::new();
    for place in places {
        let alone = of(conditions, policy, &[place]);
        let pairs = (0..place).map(|earlier| of(conditions, policy, &[earlier, place]));
        match alone.into_iter().chain(pairs.flatten()).find_map(|reach| reach.fault(place, policy)) {
            Some(fault) => faults.push(fault),
            None if of(conditions, policy, &[place]).is_none() => {
                faults.push(format!(
                    "route {}: it compares with so many values that nobody can tell when it matches",
                    called(&policy.routes[place])
                ));
            }
            None => {}
        }
    }
    faults
}

/// Where some routes hold.
#[derive(Default)]
struct Reach {
    /// Routes that are taken somewhere.
    taken: BTreeSet<usize>,
    /// For each route that holds somewhere, those that are taken there before it.
    before: BTreeMap<usize, BTreeSet<usize>>,
}

// === impl Reach ===

impl Reach {
    fn fault(&self, place: usize, policy: &Policy) -> Option<String> {
        if self.taken.contains(&place) {
            return None;
        }
        let route = called(&policy.routes[place]);
        Some(match self.before.get(&place) {
            None => format!("route {route}: it can never match, whatever its variables hold"),
            Some(earlier) => {
                let earlier: Vec<String> = earlier.iter().map(|place| called(&policy.routes[*place])).collect();
                format!("route {route}: it can never match: everything that it matches is taken by {} before it", earlier.join(", "))
            }
        })
    }
}

/// Asks the routes at `places`; `None`: there are more combinations than are asked.
fn of(conditions: &Conditions, policy: &Policy, places: &[usize]) -> Option<Reach> {
    let values = values_at(conditions, policy, places);
    let count = count(&values)?;
    let mut reach = Reach::default();
    for point in (0..count).map(|number| point(number, &values)).filter(|point| may_be(point, policy)) {
        let context = context(point.into_iter());
        let mut first = None;
        for place in places {
            // One that is taken somewhere needs no further proof, unless it may be the one taken here.
            if (first.is_some() && reach.taken.contains(place)) || holds(&conditions.0[*place], &context) != Some(true) {
                continue;
            }
            match first {
                None => first = Some(*place),
                Some(first) => drop(reach.before.entry(*place).or_default().insert(first)),
            }
        }
        reach.taken.extend(first);
    }
    Some(reach)
}

/// The values that the conditions of the routes at `places` turn on.
fn values_at(conditions: &Conditions, policy: &Policy, places: &[usize]) -> Values {
    let mut compared = Constants::new();
    for place in places {
        constants(&conditions.0[*place]).into_iter().for_each(|(variable, found)| compared.entry(variable).or_default().extend(found));
    }
    values(compared, policy)
}

/// How many combinations there are; `None`: more than are asked.
fn count(values: &Values) -> Option<usize> {
    values.values().try_fold(1_usize, |count, values| count.checked_mul(values.len()).filter(|count| *count <= POINTS_MAX))
}

/// The combination of this number.
fn point(mut number: usize, values: &Values) -> Point {
    let mut point = Point::new();
    for (variable, values) in values {
        point.insert(*variable, values[number % values.len()].clone());
        number /= values.len();
    }
    point
}

/// Whether a session can show these values together: a topic comes with its trigger and with no other, and a score that
/// called lies beyond its threshold.
fn may_be(point: &Point, policy: &Policy) -> bool {
    let Some(Scalar::Text(name)) = point.get(&Variable::Trigger) else { return true };
    let trigger = Trigger::from_name(name);
    let topic = point.get(&Variable::Topic).is_none_or(|topic| (*topic == Scalar::Absent) != (trigger == Some(Trigger::Policy)));
    let real = |variable: Variable, holds: &dyn Fn(f64) -> bool| match point.get(&variable) {
        Some(Scalar::Real(real)) => holds(*real),
        Some(_) => false,
        None => true,
    };
    topic
        && match trigger {
            Some(Trigger::Sentiment) => real(Variable::Sentiment, &|trend| trend <= policy.mood.enter),
            Some(Trigger::Confidence) => real(Variable::Confidence, &|stated| policy.confidence_min.is_some_and(|least| stated < least)),
            _ => true,
        }
}

/// The values that stand for all that these variables may have.
fn values(mut compared: Constants, policy: &Policy) -> Values {
    let thresholds = [(Variable::Sentiment, Some(policy.mood.enter)), (Variable::Confidence, policy.confidence_min)];
    for (variable, threshold) in thresholds {
        compared.entry(variable).and_modify(|constants| constants.extend(threshold.map(Scalar::Real)));
    }
    compared.into_iter().map(|(variable, constants)| (variable, values_of(variable, &constants, policy))).collect()
}

fn values_of(variable: Variable, constants: &[Scalar], policy: &Policy) -> Vec<Scalar> {
    let numbers = constants.iter().filter_map(|constant| match constant {
        Scalar::Real(real) => Some(*real),
        Scalar::Count(whole) => Some(*whole as f64),
        _ => None,
    });
    let text = |text: &str| Scalar::Text(text.to_owned());
    let mut values: Vec<Scalar> = match (variable, variable.domain()) {
        (Variable::Trigger, _) => policy.triggers().map(|trigger| text(trigger.as_str())).collect(),
        (Variable::Topic, _) => policy.topic_names().map(text).collect(),
        (_, Domain::Text) => {
            // A longer one is cut before it is compared, and no session shows it.
            let mentioned: BTreeSet<&str> =
                constants.iter().filter_map(Scalar::as_text).filter(|text| text.len() <= LABEL_BYTES_MAX).collect();
            // One that is longer than all that are mentioned is not mentioned.
            let unmentioned = "x".repeat(mentioned.iter().map(|text| text.len()).max().unwrap_or_default() + 1);
            mentioned.into_iter().chain([unmentioned.as_str()]).map(text).collect()
        }
        (Variable::Sentiment, _) => reals(numbers, -1.0, 1.0),
        (_, Domain::Real) => reals(numbers, 0.0, 1.0),
        (_, Domain::Count) => counts(numbers),
    };
    values.extend(variable.may_be_absent().then_some(Scalar::Absent));
    values
}

/// Both ends, every constant between them, and a value in every gap.
fn reals(constants: impl Iterator<Item = f64>, low: f64, high: f64) -> Vec<Scalar> {
    let mut bounds: Vec<f64> = constants.chain([low, high]).filter(|value| (low..=high).contains(value)).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let gaps = bounds.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    bounds.iter().copied().chain(gaps).map(Scalar::Real).collect()
}

/// Every constant and its neighbours.
fn counts(constants: impl Iterator<Item = f64>) -> Vec<Scalar> {
    let near = constants.flat_map(|constant| [constant.floor() - 1.0, constant.floor(), constant.ceil(), constant.ceil() + 1.0]);
    let counts: BTreeSet<i64> = near.map(|count| count as i64).chain([0]).filter(|count| *count >= 0).collect();
    counts.into_iter().map(Scalar::Count).collect()
}

// === impl Scalar ===

impl Scalar {
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
