//! How somebody who wrote a text feels, in -1..1. Everything else asks [`score`], so that a better scorer replaces this
//! file and nothing beside it.
//!
//! The rules are those of VADER (C. Hutto and E. Gilbert, *VADER: A Parsimonious Rule-based Model for Sentiment Analysis
//! of Social Media Text*, ICWSM 2014), as its reference implementation applies them; the words and their valences come
//! from the crate `vader_sentiment`. The crate's own scorer is not called: it adds up what it finds in the order of a
//! randomly seeded hash map, so that two processes may disagree about the same text, and a replay with them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use vader_sentiment::{EMOJI_LEXICON, LEXICON};

/// The language that is scored, as the first subtag of a BCP 47 tag.
pub const LANGUAGE: &str = "en";

/// Bytes of a text that are scored; how somebody feels shows before.
pub const SCORED_BYTES_MAX: usize = 16 << 10;

/// A booster before a word raises its intensity by so much, a dampener lowers it.
const BOOST: f64 = 0.293;
/// A word in capitals among others that are not.
const CAPITALS: f64 = 0.733;
/// What a negation makes of a valence.
const NEGATION: f64 = -0.74;
/// "never so good".
const NEVER_SO: f64 = 1.25;
const EXCLAMATION: f64 = 0.292;
const EXCLAMATIONS_MAX: usize = 4;
const QUESTION: f64 = 0.18;
const QUESTIONS_MAX: usize = 3;
const QUESTIONS: f64 = 0.96;
/// Sums of valences are brought to -1..1 by this.
const ALPHA: f64 = 15.0;

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

const NEGATIONS: &str = "aint arent cannot cant couldnt darent didnt doesnt ain't aren't can't couldn't daren't didn't doesn't dont \
     hadnt hasnt havent isnt mightnt mustnt neither don't hadn't hasn't haven't isn't mightn't mustn't neednt needn't never none nope \
     nor not nothing nowhere oughtnt shant shouldnt uhuh wasnt werent oughtn't shan't shouldn't uh-uh wasn't weren't without wont \
     wouldnt won't wouldn't rarely seldom despite";

const BOOSTERS: &str = "absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous enormously \
     entirely especially exceptional exceptionally extreme extremely fabulously flipping flippin frackin fracking fricking frickin \
     frigging friggin fully fuckin fucking fuggin fugging greatly hella highly hugely incredible incredibly intensely major majorly \
     more most particularly purely quite really remarkably so substantially thoroughly total totally tremendous tremendously uber \
     unbelievably unusually utter utterly very";

const DAMPENERS: &str = "almost barely hardly kinda kindof kind-of less little marginal marginally occasional occasionally partly \
     scarce scarcely slight slightly somewhat sorta sortof sort-of";

/// Dampeners of two words.
const DAMPENING_PAIRS: [&str; 3] = ["just enough", "kind of", "sort of"];

const IDIOMS: [(&str, f64); 10] = [
    ("the shit", 3.0),
    ("the bomb", 3.0),
    ("bad ass", 1.5),
    ("badass", 1.5),
    ("bus stop", 0.0),
    ("yeah right", -2.0),
    ("kiss of death", -1.5),
    ("to die for", 3.0),
    ("beating heart", 3.1),
    ("broken heart", -2.9),
];

/// How somebody who wrote `text` feels, from -1 to 1 in steps of 0.0001.
///
/// `None`: it cannot be told. The language is another one or is not known, or there is neither a letter in the text nor
/// a face that is known. That is no neutral score: zero is what a text of words gets that weigh nothing.
pub fn score(text: &str, language: Option<&str>) -> Option<f64> {
    if !language.is_some_and(is_scored) {
        return None;
    }
    let text = described(&text[..text.floor_char_boundary(SCORED_BYTES_MAX)]);
    let words = Words::of(&text);
    words.say_something().then(|| words.compound(&text))
}

/// Whether a text may be in a language of the Latin script: no more than half of its letters are of another one.
pub fn is_latin(text: &str) -> bool {
    let letters = || text.chars().filter(|letter| letter.is_alphabetic());
    let latin = letters().filter(|letter| matches!(letter, 'a'..='z' | 'A'..='Z' | '\u{aa}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}'));
    2 * latin.count() >= letters().count()
}

/// Whether texts in the language of this BCP 47 tag are scored.
pub fn is_scored(tag: &str) -> bool {
    tag.split(['-', '_']).next().is_some_and(|primary| primary.eq_ignore_ascii_case(LANGUAGE))
}

/// The valences of words, in an order of their own.
static VALENCES: LazyLock<BTreeMap<String, f64>> =
    LazyLock::new(|| LEXICON.iter().map(|(word, valence)| (word.to_lowercase(), *valence)).collect());

/// What shifts the valence of a word that follows.
static SHIFTS: LazyLock<BTreeMap<&str, f64>> = LazyLock::new(|| {
    let (boosters, dampeners) = (BOOSTERS.split_whitespace(), DAMPENERS.split_whitespace().chain(DAMPENING_PAIRS));
    boosters.map(|word| (word, BOOST)).chain(dampeners.map(|word| (word, -BOOST))).collect()
});

/// The words of a text, without the punctuation around them.
struct Words<'a> {
    words: Vec<&'a str>,
    lower: Vec<Cow<'a, str>>,
    /// Some words stand in capitals, and others do not.
    capitals_differ: bool,
}

// === impl Words ===

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let words: Vec<&str> = text.split_whitespace().map(bare).collect();
        let in_capitals = words.iter().filter(|word| is_upper(word)).count();
        Self { lower: words.iter().map(|word| lower(word)).collect(), capitals_differ: in_capitals > 0 && in_capitals < words.len(), words }
    }

    fn say_something(&self) -> bool {
        self.lower.iter().any(|word| word.chars().any(char::is_alphabetic) || VALENCES.contains_key(word.as_ref()))
    }

    fn compound(&self, text: &str) -> f64 {
        let but = self.lower.iter().position(|word| word == "but");
        let weight = |at: usize| match but {
            Some(but) if at < but => 0.5,
            Some(but) if at > but => 1.5,
            _ => 1.0,
        };
        let sum: f64 = (0..self.lower.len()).map(|at| weight(at) * self.valence(at)).sum();
        let sum = if sum == 0.0 { 0.0 } else { sum + emphasis(text).copysign(sum) };
        let score = (sum / (sum * sum + ALPHA).sqrt()).clamp(-1.0, 1.0);
        (score * 10_000.0).round() / 10_000.0
    }

    fn valence(&self, at: usize) -> f64 {
        let is_kind_of = self.is(at, "kind") && self.is(at + 1, "of");
        if SHIFTS.contains_key(self.lower[at].as_ref()) || is_kind_of {
            return 0.0;
        }
        let Some(plain) = VALENCES.get(self.lower[at].as_ref()).copied() else { return 0.0 };
        let mut valence = self.under_no(at, plain);
        if is_upper(self.words[at]) && self.capitals_differ {
            valence += if valence > 0.0 { CAPITALS } else { -CAPITALS };
        }
        for back in 1..=at.min(3) {
            if self.is_known(at - back) {
                continue;
            }
            let fading = [1.0, 0.95, 0.9][back - 1];
            valence += fading * self.shift(at - back, valence);
            valence = self.negated(at, back, valence);
            if back == 3 {
                valence = self.idiom(at, valence);
            }
        }
        self.least(at, valence)
    }

    /// "no" negates the words after it, and weighs nothing itself before a word that does.
    fn under_no(&self, at: usize, plain: f64) -> f64 {
        let before = |back: usize, word: &str| at >= back && self.is(at - back, word);
        if before(1, "no") || before(2, "no") || (before(3, "no") && (before(1, "or") || before(1, "nor"))) {
            return plain * NEGATION;
        }
        if self.is(at, "no") && at + 1 < self.lower.len() && self.is_known(at + 1) { 0.0 } else { plain }
    }

    /// By how much the word at `at` shifts a valence after it.
    fn shift(&self, at: usize, valence: f64) -> f64 {
        let Some(shift) = SHIFTS.get(self.lower[at].as_ref()) else { return 0.0 };
        let shift = if valence < 0.0 { -shift } else { *shift };
        match is_upper(self.words[at]) && self.capitals_differ {
            true if valence > 0.0 => shift + CAPITALS,
            true => shift - CAPITALS,
            false => shift,
        }
    }

    fn negated(&self, at: usize, back: usize, valence: f64) -> f64 {
        let so_or_this = |at: usize| self.is(at, "so") || self.is(at, "this");
        let (never, without) = (self.is(at - back, "never"), self.is(at - back, "without"));
        let between = || (at - back + 1..at).rev();
        match back {
            2 if never && so_or_this(at - 1) => valence * NEVER_SO,
            3 if (never && so_or_this(at - 2)) || so_or_this(at - 1) => valence * NEVER_SO,
            2 | 3 if without && between().any(|at| self.is(at, "doubt")) => valence,
            _ if is_negation(&self.lower[at - back]) => valence * NEGATION,
            _ => valence,
        }
    }

    fn idiom(&self, at: usize, valence: f64) -> f64 {
        let words = |from: usize, to: usize| self.lower[from..=to].join(" ");
        let idiom = |text: &str| IDIOMS.iter().find(|(known, _)| *known == text).map(|(_, valence)| *valence);
        let before = [words(at - 1, at), words(at - 2, at), words(at - 2, at - 1), words(at - 3, at - 1), words(at - 3, at - 2)];
        let mut valence = before.iter().find_map(|text| idiom(text)).unwrap_or(valence);
        for to in (at + 1..self.lower.len()).take(2) {
            valence = idiom(&words(at, to)).unwrap_or(valence);
        }
        let pairs = [words(at - 3, at - 1), words(at - 3, at - 2), words(at - 2, at - 1)];
        valence + pairs.iter().filter_map(|pair| SHIFTS.get(pair.as_str())).sum::<f64>()
    }

    fn least(&self, at: usize, valence: f64) -> f64 {
        let is_least = at > 0 && self.is(at - 1, "least") && !self.is_known(at - 1);
        let is_bound = at > 1 && (self.is(at - 2, "at") || self.is(at - 2, "very"));
        if is_least && !is_bound { valence * NEGATION } else { valence }
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.lower.get(at).is_some_and(|known| known == word)
    }

    fn is_known(&self, at: usize) -> bool {
        VALENCES.contains_key(self.lower[at].as_ref())
    }
}

/// The text with a description for each emoji.
fn described(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut told = String::with_capacity(text.len());
    for letter in text.chars() {
        match EMOJI_LEXICON.get(letter.encode_utf8(&mut [0; 4]) as &str) {
            Some(description) => {
                if !told.is_empty() && !told.ends_with(' ') {
                    told.push(' ');
                }
                told.push_str(description);
            }
            None => told.push(letter),
        }
    }
    Cow::Owned(told)
}

fn lower(word: &str) -> Cow<'_, str> {
    let is_lower = word.bytes().all(|letter| letter.is_ascii() && !letter.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(word) } else { Cow::Owned(word.to_lowercase()) }
}

/// A word without the punctuation around it; what is too short for a word may be a face, and stays.
fn bare(word: &str) -> &str {
    let bare = word.trim_matches(|letter| PUNCTUATION.contains(letter));
    if bare.chars().nth(2).is_some() { bare } else { word }
}

fn is_upper(word: &str) -> bool {
    word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase)
}

fn is_negation(word: &str) -> bool {
    word.contains("n't") || NEGATIONS.split_whitespace().any(|known| known == word)
}

fn emphasis(text: &str) -> f64 {
    let count = |mark: char| text.chars().filter(|letter| *letter == mark).count();
    let exclaimed = count('!').min(EXCLAMATIONS_MAX) as f64 * EXCLAMATION;
    let asked = match count('?') {
        0 | 1 => 0.0,
        asked if asked <= QUESTIONS_MAX => asked as f64 * QUESTION,
        _ => QUESTIONS,
    };
    exclaimed + asked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentences in the manner of the reference implementation's own page, with the scores that it gives (vaderSentiment 3.3.2).
    const REFERENCE: [(&str, f64); 13] = [
        ("VADER is smart, handsome, and funny.", 0.8316),
        ("VADER is smart, handsome, and funny!", 0.8439),
        ("VADER is very smart, handsome, and funny.", 0.8545),
        ("VADER is VERY SMART, handsome, and FUNNY.", 0.9227),
        ("VADER is VERY SMART, handsome, and FUNNY!!!", 0.9342),
        ("VADER is not smart, handsome, nor funny.", -0.7424),
        ("The book was good.", 0.4404),
        ("At least it isn't a horrible book.", 0.431),
        ("The book was only kind of good.", 0.3832),
        ("Today SUX!", -0.5461),
        ("Today only kinda sux! But I'll get by, lol", 0.5249),
        ("Not bad at all", 0.431),
        ("Catch utf-8 emoji such as 💋 and 😁", 0.7003),
    ];

    #[test]
    fn the_reference_sentences_get_the_scores_of_the_reference() {
        for (text, expected) in REFERENCE {
            assert_eq!(score(text, Some("en")), Some(expected), "{text}");
        }
    }

    #[test]
    fn another_language_no_language_and_no_word_have_no_score() {
        let angry = "This is a horrible, disgusting disaster";
        assert!(score(angry, Some("en-GB")).is_some_and(|score| score < -0.5));
        assert_eq!(score(angry, Some("de")), None);
        assert_eq!(score(angry, Some("eng-lish?")), None);
        assert_eq!(score(angry, None), None);
        assert_eq!(score(" \n", Some("en")), None);
    }

    #[test]
    fn words_that_weigh_nothing_are_neutral() {
        assert_eq!(score("Where is the table of contents", Some("en")), Some(0.0));
    }

    #[test]
    fn signs_and_numbers_have_no_score_and_a_face_has_one() {
        for silent in ["?!", "4711", "... 12:30 !!", "#"] {
            assert_eq!(score(silent, Some("en")), None, "{silent}");
        }
        assert!(score(":(", Some("en")).is_some_and(|score| score < 0.0));
        assert!(score("\u{1f621}", Some("en")).is_some());
    }

    #[test]
    fn letters_of_another_script_are_told_apart() {
        for latin in ["I hate it", "déjà vu", "4711 ?!", "\u{1f621}", "ok 好"] {
            assert!(is_latin(latin), "{latin}");
        }
        for other in ["我很生气", "Это ужасно", "ご飯です ok"] {
            assert!(!is_latin(other), "{other}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "ä".repeat(SCORED_BYTES_MAX);
        assert_eq!(score(&format!("x{long} horrible"), Some("en")), Some(0.0));
    }
}
