//! Finding phrases in what somebody said: word by word, whatever case and punctuation they stand in.
//!
//! Phrases come from the policy. A text is only ever compared with them: nothing of it is kept, and nothing in it can
//! name a topic of its own.

use std::collections::BTreeMap;

/// Phrases, by their first word, each with what it stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phrases {
    by_first: BTreeMap<String, Vec<(Vec<String>, usize)>>,
}

// === impl Phrases ===

impl Phrases {
    /// The phrases of `lists`; what is found is told as the place of its list.
    pub(crate) fn of<'a>(lists: impl IntoIterator<Item = &'a [String]>) -> Self {
        let mut by_first: BTreeMap<String, Vec<(Vec<String>, usize)>> = BTreeMap::new();
        for (place, phrases) in lists.into_iter().enumerate() {
            for phrase in phrases {
                let mut words = words(phrase).into_iter();
                if let Some(first) = words.next() {
                    by_first.entry(first).or_default().push((words.collect(), place));
                }
            }
        }
        Self { by_first }
    }

    /// The places of the lists of which a phrase stands in `text`, in order.
    pub(crate) fn found_in(&self, text: &str) -> Vec<usize> {
        if self.by_first.is_empty() {
            return Vec::new();
        }
        let words = words(text);
        let starts = words.iter().enumerate().filter_map(|(at, word)| Some((&words[at + 1..], self.by_first.get(word)?)));
        let mut found: Vec<usize> = starts
            .flat_map(|(after, phrases)| phrases.iter().filter(|(rest, _)| after.starts_with(rest)).map(|(_, place)| *place))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The words of a text in lower case. An apostrophe inside a word is left out, so that `can't` and `cant` are one; a
/// letter of a script that sets no spaces between words is a word by itself.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        match letter {
            '\'' | '\u{2019}' => {}
            letter if stands_alone(letter) => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                words.push(letter.to_string());
            }
            letter if letter.is_alphanumeric() => word.extend(letter.to_lowercase()),
            _ => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Han, Hiragana, Katakana.
fn stands_alone(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(phrases: &[&str], text: &str) -> bool {
        let phrases: Vec<String> = phrases.iter().map(|phrase| (*phrase).to_owned()).collect();
        !Phrases::of([phrases.as_slice()]).found_in(text).is_empty()
    }

    #[test]
    fn a_phrase_is_found_whatever_case_and_punctuation_it_stands_in() {
        for text in ["I will sue you!", "i'll SUE, you", "...sue\nyou..."] {
            assert!(found(&["sue you"], text), "{text}");
        }
        assert!(found(&["I can't help"], "I can\u{2019}t help with that."));
    }

    #[test]
    fn a_part_of_a_word_is_no_word() {
        assert!(!found(&["sue"], "The issue is that my tissue ensues"));
        assert!(!found(&["court"], "courtesy of the courts"));
        assert!(!found(&["sue you"], "sue me, not you"));
    }

    #[test]
    fn words_without_spaces_between_them_are_found_letter_by_letter() {
        assert!(found(&["投诉"], "我要投诉你们"));
        assert!(!found(&["投诉"], "投机诉讼"));
    }

    #[test]
    fn every_list_that_is_touched_is_told_once() {
        let lists = [vec!["lawyer".to_owned(), "court".to_owned()], vec!["hacked".to_owned()], vec!["gdpr".to_owned()]];
        let phrases = Phrases::of(lists.iter().map(Vec::as_slice));
        assert_eq!(phrases.found_in("GDPR! My lawyer will see you in court"), [0, 2]);
        assert_eq!(phrases.found_in(""), Vec::<usize>::new());
    }
}
