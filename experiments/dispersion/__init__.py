"""The spread that lam and beta imply."""
