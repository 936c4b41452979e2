//! Times of files that do not say where their clock hung.
//!
//! A time with an offset is obeyed. One without is a wall clock's, and only whoever recorded it knows where the clock
//! hung: it takes `--tz`. Twice a year a wall clock shows an hour twice, or skips one; such a time is refused and not
//! guessed, because an hour's error would move a fact past others.

use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{AmbiguousOffset, TimeZone};
use wire::Timestamp;

/// Where the clock of naive times hung.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Zone(TimeZone);

// === impl Zone ===

impl Zone {
    /// Coordinated universal time.
    pub(super) const UTC: Self = Self(TimeZone::UTC);

    /// A zone of the IANA database by its name, or an offset such as `-07:00`.
    ///
    /// # Errors
    /// When it is neither.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let zone = DateTimeParser::new().parse_time_zone(text);
        zone.map(Self)
            .map_err(|_| format!("`{text}` is neither a zone of the IANA database, as America/Los_Angeles, nor an offset, as -07:00"))
    }

    /// The time that a text tells: RFC 3339, or an ISO 8601 time without offset, which is read in `zone`.
    ///
    /// # Errors
    /// When it is none, when it is naive and there is no zone, or when a clock there showed it twice or never.
    pub(super) fn read(zone: Option<&Self>, text: &str) -> Result<Timestamp, String> {
        if let Some(time) = Timestamp::parse(text) {
            return Ok(time);
        }
        let naive: DateTime = text.parse().map_err(|_| format!("`{text}` is no ISO 8601 time"))?;
        let Some(Self(zone)) = zone else {
            return Err(format!("`{text}` has no offset; name the zone that its clock was set to with --tz"));
        };
        let named = || zone.iana_name().unwrap_or("the zone of --tz");
        let ambiguous = zone.to_ambiguous_timestamp(naive);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { before, after } => {
                Err(format!("`{text}` never was in {}: its clocks went from {before} to {after} and skipped it", named()))
            }
            AmbiguousOffset::Fold { before, after } => {
                Err(format!("`{text}` was twice in {}, at {before} and at {after}; give its offset in the file, or one with --tz", named()))
            }
            AmbiguousOffset::Unambiguous { .. } => {
                let time = ambiguous.unambiguous().map_err(|error| format!("`{text}` is out of range: {error}"))?;
                Ok(Timestamp(time.as_microsecond()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_obeyed_whatever_the_zone() {
        for zone in [None, Some(zone("Asia/Tokyo"))] {
            let time = Zone::read(zone.as_ref(), "2026-05-31T08:38:46.782858-07:00");
            assert_eq!(time, Ok(utc("2026-05-31T15:38:46.782858Z")));
        }
    }

    #[test]
    fn a_naive_time_is_read_in_its_zone_summer_and_winter() {
        let angeles = zone("America/Los_Angeles");
        assert_eq!(Zone::read(Some(&angeles), "2026-05-31T08:38:46.782858"), Ok(utc("2026-05-31T15:38:46.782858Z")));
        assert_eq!(Zone::read(Some(&angeles), "2026-01-31T08:38:46"), Ok(utc("2026-01-31T16:38:46Z")));
        assert_eq!(Zone::read(Some(&zone("-07:00")), "2026-01-31T08:38:46"), Ok(utc("2026-01-31T15:38:46Z")));
        assert_eq!(Zone::read(Some(&Zone::UTC), "2023-11-16 18:17:03.9799600"), Ok(utc("2023-11-16T18:17:03.97996Z")));
    }

    #[test]
    fn a_naive_time_without_a_zone_is_refused_and_names_the_option() {
        let refused = Zone::read(None, "2026-05-31T08:38:46").expect_err("nobody said where the clock hung");
        assert_eq!(refused, "`2026-05-31T08:38:46` has no offset; name the zone that its clock was set to with --tz");
    }

    #[test]
    fn an_hour_that_a_clock_skipped_or_showed_twice_is_refused() {
        let angeles = zone("America/Los_Angeles");
        let skipped = Zone::read(Some(&angeles), "2026-03-08T02:30:00").expect_err("the clock went from two to three");
        assert_eq!(skipped, "`2026-03-08T02:30:00` never was in America/Los_Angeles: its clocks went from -08 to -07 and skipped it");
        let twice = Zone::read(Some(&angeles), "2026-11-01T01:30:00").expect_err("the clock went back from two to one");
        assert!(twice.starts_with("`2026-11-01T01:30:00` was twice in America/Los_Angeles, at -07 and at -08"), "{twice}");
        assert_eq!(Zone::read(Some(&zone("-07:00")), "2026-11-01T01:30:00"), Ok(utc("2026-11-01T08:30:00Z")), "an offset knows");
    }

    #[test]
    fn what_is_no_time_and_what_is_no_zone_say_so() {
        assert_eq!(Zone::read(Some(&Zone::UTC), "soon"), Err("`soon` is no ISO 8601 time".to_owned()));
        for text in ["Nowhere/Atlantis", "", "7"] {
            let refused = Zone::parse(text).expect_err(text);
            assert!(refused.starts_with(&format!("`{text}` is neither a zone of the IANA database")), "{refused}");
        }
    }

    fn zone(text: &str) -> Zone {
        Zone::parse(text).expect("it is a zone")
    }

    fn utc(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("it is a time")
    }
}
