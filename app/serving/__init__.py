"""From a question to an answer, without a web framework; `scripts.predict` shares the loaded champions."""
