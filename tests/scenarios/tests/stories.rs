//! One test per story: it decides what its golden file says. `UPDATE=1 cargo test -p scenarios` writes the golden files
//! anew; read the difference before you believe it.

use std::fs;
use std::path::{Path, PathBuf};

use scenarios::{decisions_of, parse};

macro_rules! stories {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            tell(stringify!($name));
        })+

        #[test]
        fn every_story_is_told() {
            let mut told = vec![$(stringify!($name).replace('_', "-")),+];
            told.sort();
            let mut written: Vec<String> = fs::read_dir(folder()).expect("the stories are there").flatten()
                .filter_map(|entry| Some(entry.file_name().to_string_lossy().strip_suffix(".txt")?.to_owned())).collect();
            written.sort();
            assert_eq!(told, written);
        }
    };
}

stories! {
    a_bad_version_is_taken_back
    a_confirmed_harm_takes_back_at_once
    fifty_further_harms_join_one_incident
    one_bad_of_a_hundred_burns_at_one
    nothing_is_done_that_nobody_acknowledged
    a_late_acknowledgement_comes_too_late
    a_lesser_trouble_joins_an_answered_incident
    a_refused_order_has_failed
    an_unaccepted_proposal_executes_nothing
    a_version_without_outcomes_is_never_proven
    a_harm_crosses_an_incident_on_its_way
    a_person_overrules_human_only
    a_silent_platform_is_degraded
    nobody_is_silent_while_the_door_is_shut
    failing_tools_reduce_an_agent_until_they_work
    nothing_to_go_back_to_means_people_only
    an_angry_customer_gets_a_human_once
    a_legal_topic_overrules_a_happy_score
    nobody_comes_in_time
    an_unknown_language_is_not_neutral
    a_route_that_can_never_match_is_refused
    an_agent_that_fails_in_a_row_gets_a_human
    a_burst_passes_a_budget_once
    a_rising_trend_is_warned_of_before_it_is_passed
    too_little_history_is_said_to_be_insufficient
    no_traffic_is_no_data_rather_than_healthy
    what_nobody_can_read_is_refused_and_stops_nobody
    a_flood_of_what_nobody_can_read_is_told_as_a_run
    a_loop_at_night_is_noticed
    a_version_that_slows_down_is_investigated
    a_regression_hidden_by_the_mix_is_found
    a_healthy_shift_of_the_mix_stays_silent
    a_sudden_drop_in_mid_life_reduces_the_agent
    a_slow_burn_is_a_ticket
    the_next_regression_beside_a_loop_is_taken_back_too
    the_next_regression_beside_a_loop_is_proposed_too
}

#[test]
fn a_line_that_makes_no_sense_is_named() {
    assert_eq!(parse("1m billing dances"), Err("line 1 makes no sense: 1m billing dances".to_owned()));
}

fn tell(name: &str) {
    let story = folder().join(format!("{}.txt", name.replace('_', "-")));
    let golden = story.with_extension("decisions");
    let text = fs::read_to_string(&story).expect("the story is there");
    let decided = parse(&text).and_then(|lines| decisions_of(&lines)).unwrap_or_else(|reason| panic!("{}: {reason}", story.display()));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&golden, &decided).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(decided == expected, "{} decided otherwise.\n--- expected\n{expected}\n--- decided\n{decided}", story.display());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stories")
}
