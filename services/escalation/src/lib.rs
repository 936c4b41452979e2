//! Finds the human: every session that asks for one, by sentiment, confidence, complexity, policy or failure, once.
