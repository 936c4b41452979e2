//! Reading a policy document: every field that it may have, its range, and what is wrong with what it says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Criterion, DAY_S, HOUR_S, Measure, Policy, ROWS_MAX, Row, Signal, TICKET_SECONDS_MAX, WINDOW_SECONDS_MAX};

/// Takes known fields out of a document; what is left over at the end is unknown.
pub(super) struct Reader {
    pub(super) object: Map<String, Value>,
    pub(super) faults: Vec<String>,
}

// === impl Reader ===

impl Reader {
    /// The policy that the document asks for; a field with a fault keeps its default.
    pub(super) fn policy(&mut self) -> Policy {
        let standard = Policy::default();
        Policy {
            version: standard.version,
            session_timeout_s: self.whole("session_timeout_s", 60, 7 * DAY_S, standard.session_timeout_s),
            outcome_grace_s: self.whole("outcome_grace_s", 0, DAY_S, standard.outcome_grace_s),
            regression_e: self.real("regression_e", 20.0, 1e9).unwrap_or(standard.regression_e),
            criteria: self.criteria().unwrap_or(standard.criteria),
            in_time_s: self.optional_whole("in_time_s", 1, 7 * DAY_S),
            candidate_horizon_s: self.whole("candidate_horizon_s", 0, 366 * DAY_S, standard.candidate_horizon_s),
            objectives: self.objectives(standard.objectives),
            slow_ms: self.real("slow_ms", 1.0, 3_600_000.0),
            rows: self.rows("rows", WINDOW_SECONDS_MAX).unwrap_or(standard.rows),
            tickets: self.rows("tickets", TICKET_SECONDS_MAX).unwrap_or(standard.tickets),
            ticket_margin_sd: self.real("ticket_margin_sd", 0.0, 10.0).unwrap_or(standard.ticket_margin_sd),
            facts_min: self.count("facts_min", standard.facts_min),
            bad_min: self.count("bad_min", standard.bad_min),
            bad_short_min: self.count("bad_short_min", standard.bad_short_min),
            clear_facts_min: self.count("clear_facts_min", standard.clear_facts_min),
            lateness_s: self.whole("lateness_s", 1, HOUR_S, standard.lateness_s),
            silence_factor: self.whole("silence_factor", 2, 100, standard.silence_factor),
            beats_to_recover: self.count("beats_to_recover", standard.beats_to_recover),
            harm_quiet_s: self.whole("harm_quiet_s", 60, 7 * DAY_S, standard.harm_quiet_s),
            harm_facts: self.count("harm_facts", standard.harm_facts),
            harm_sessions: self.count("harm_sessions", standard.harm_sessions),
            away_sessions: self.count("away_sessions", standard.away_sessions),
            sustain_s: self.whole("sustain_s", 60, 7 * DAY_S, standard.sustain_s),
            sustain_sessions: self.count("sustain_sessions", standard.sustain_sessions),
            drifts: self.drifts().unwrap_or(standard.drifts),
            drift_baseline: self.whole_count("drift_baseline", 30, 500, standard.drift_baseline),
            drift_run_length: self.real("drift_run_length", 1_000.0, 1e9).unwrap_or(standard.drift_run_length),
            drift_shift_sd: self.real("drift_shift_sd", 0.25, 3.0).unwrap_or(standard.drift_shift_sd),
            drift_odds: self.real("drift_odds", 1.25, 100.0).unwrap_or(standard.drift_odds),
            drop_share: self.real("drop_share", 0.05, 1.0).unwrap_or(standard.drop_share),
            loop_calls: self.whole_count("loop_calls", 3, 10_000, standard.loop_calls),
            signature_history: self.whole_count("signature_history", 100, 1_000_000, standard.signature_history),
            signature_block: self.whole_count("signature_block", 20, 100_000, standard.signature_block),
            signature_frequent: self.whole_count("signature_frequent", 2, 100_000, standard.signature_frequent),
            signature_rare: self.real("signature_rare", 0.0, 0.5).unwrap_or(standard.signature_rare),
        }
    }

    /// Everything that was wrong.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.faults.extend(self.object.keys().map(|unknown| format!("{unknown}: there is no such field")));
        self.faults
    }

    fn whole(&mut self, field: &str, min: i64, max: i64, standard: i64) -> i64 {
        self.optional_whole(field, min, max).unwrap_or(standard)
    }

    fn count(&mut self, field: &str, standard: u64) -> u64 {
        self.optional_whole(field, 1, 1_000_000).map_or(standard, i64::unsigned_abs)
    }

    fn whole_count(&mut self, field: &str, min: i64, max: i64, standard: u64) -> u64 {
        self.optional_whole(field, min, max).map_or(standard, i64::unsigned_abs)
    }

    fn optional_whole(&mut self, field: &str, min: i64, max: i64) -> Option<i64> {
        let value = self.object.remove(field)?;
        let found = value.as_i64().filter(|found| (min..=max).contains(found));
        if found.is_none() {
            self.faults.push(format!("{field}: {value} is no whole number from {min} to {max}"));
        }
        found
    }

    fn real(&mut self, field: &str, min: f64, max: f64) -> Option<f64> {
        let value = self.object.remove(field)?;
        let found = value.as_f64().filter(|found| (min..=max).contains(found));
        if found.is_none() {
            self.faults.push(format!("{field}: {value} is no number from {min} to {max}"));
        }
        found
    }

    fn criteria(&mut self) -> Option<BTreeSet<Criterion>> {
        let value = self.object.remove("criteria")?;
        let found = serde_json::from_value(value);
        found.map_err(|error| self.faults.push(format!("criteria: {error}"))).ok()
    }

    fn objectives(&mut self, standard: BTreeMap<Signal, f64>) -> BTreeMap<Signal, f64> {
        let Some(value) = self.object.remove("objectives") else { return standard };
        let told: BTreeMap<Signal, Option<f64>> = match serde_json::from_value(value) {
            Ok(told) => told,
            Err(error) => {
                self.faults.push(format!("objectives: {error}"));
                return standard;
            }
        };
        let mut objectives = standard;
        for (signal, objective) in told {
            match objective {
                None => drop(objectives.remove(&signal)),
                Some(share) if share > 0.0 && share < 1.0 => drop(objectives.insert(signal, share)),
                Some(share) => self.faults.push(format!("objectives.{signal}: {share} is no share between 0 and 1")),
            }
        }
        objectives
    }

    fn drifts(&mut self) -> Option<BTreeSet<Measure>> {
        let value = self.object.remove("drifts")?;
        let found = serde_json::from_value(value);
        found.map_err(|error| self.faults.push(format!("drifts: {error}"))).ok()
    }

    fn rows(&mut self, field: &str, length_s_max: i64) -> Option<Vec<Row>> {
        let value = self.object.remove(field)?;
        let rows: Vec<Row> = match serde_json::from_value(value) {
            Ok(rows) => rows,
            Err(error) => {
                self.faults.push(format!("{field}: {error}"));
                return None;
            }
        };
        // Without pages nothing would be told at once; tickets may be left to others.
        let least = usize::from(field == "rows");
        if rows.len() < least || rows.len() > ROWS_MAX {
            self.faults.push(format!("{field}: there must be {least} to {ROWS_MAX}"));
        }
        for row in &rows {
            let lengths = 60..=length_s_max;
            let is_sound =
                row.factor > 0.0 && row.factor <= 1_000.0 && [row.long_s, row.short_s].iter().all(|length_s| lengths.contains(length_s));
            if !is_sound {
                self.faults.push(format!("{field}: a factor is at most 1000 and a window 60 to {length_s_max} seconds long"));
            }
        }
        Some(rows)
    }
}
