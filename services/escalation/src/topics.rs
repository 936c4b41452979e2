//! Finding phrases in what somebody said: word by word, whatever case and punctuation they stand in.
//!
//! Phrases come from the policy. A text is only ever compared with them: nothing of it is kept, and nothing in it can
//! name a topic of its own.

use aho_corasick::AhoCorasick;

/// Phrases, each with what it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Phrases {
    /// All at once (A. Aho and M. Corasick, *Efficient string matching*, CACM 18, 1975), each as [`spaced`] out.
    spaced: AhoCorasick,
    /// The list of each.
    lists: Vec<usize>,
}

// === impl Phrases ===

impl Phrases {
    /// The phrases of `lists`; what is found is told as the place of its list. A phrase without words is found nowhere.
    pub(crate) fn of<'a>(lists: impl IntoIterator<Item = &'a [String]>) -> Self {
        let lists = lists.into_iter().enumerate();
        let phrases = lists.flat_map(|(place, phrases)| phrases.iter().map(move |phrase| (spaced(phrase), place)));
        let (phrases, lists): (Vec<String>, Vec<usize>) = phrases.filter(|(phrase, _)| has_words(phrase)).unzip();
        let spaced = AhoCorasick::new(&phrases).expect("the phrases of a policy are far fewer than there is room for");
        Self { spaced, lists }
    }

    /// The places of the lists of which a phrase stands in `text`, in order.
    pub(crate) fn found_in(&self, text: &str) -> Vec<usize> {
        let text = spaced(text);
        let mut found: Vec<usize> = self.spaced.find_overlapping_iter(&text).map(|phrase| self.lists[phrase.pattern()]).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether any phrase stands in `text`.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        self.spaced.is_match(&spaced(text))
    }
}

/// Whether there is a word in a text.
pub(crate) fn has_words(text: &str) -> bool {
    spaced(text).len() > 1
}

/// The words of a text in lower case, a space before and after each. An apostrophe inside a word is left out, so that
/// `can't` and `cant` are one; a letter of a script that sets no spaces between words is a word by itself.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 2);
    spaced.push(' ');
    for letter in text.chars() {
        match letter {
            'a'..='z' | '0'..='9' => spaced.push(letter),
            'A'..='Z' => spaced.push(letter.to_ascii_lowercase()),
            '\'' | '\u{2019}' => {}
            '\0'..='\x7f' => end_word(&mut spaced),
            letter if stands_alone(letter) => {
                end_word(&mut spaced);
                spaced.push(letter);
                end_word(&mut spaced);
            }
            letter if letter.is_alphanumeric() => spaced.extend(letter.to_lowercase()),
            _ => end_word(&mut spaced),
        }
    }
    end_word(&mut spaced);
    spaced
}

fn end_word(spaced: &mut String) {
    if !spaced.ends_with(' ') {
        spaced.push(' ');
    }
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
        assert!(phrases.are_in("hacked") && !phrases.are_in("hack"));
    }

    #[test]
    fn a_phrase_is_found_after_another_that_ends_in_its_first_word() {
        let lists = [vec!["talk to a human".to_owned()], vec!["human please".to_owned()], vec!["human".to_owned()]];
        assert_eq!(Phrases::of(lists.iter().map(Vec::as_slice)).found_in("let me talk to a human, please"), [0, 1, 2]);
    }

    #[test]
    fn a_phrase_without_words_is_found_nowhere() {
        assert!(!has_words("...'") && has_words("1"));
        let phrases = Phrases::of([["?!".to_owned()].as_slice()]);
        assert!(!phrases.are_in("?!") && !phrases.are_in("") && !phrases.are_in("what"));
    }
}
