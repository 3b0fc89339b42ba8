"""Train the small classifier in whose features image models are measured: digits 98 %, glyphs 98.5 % on the test split."""
