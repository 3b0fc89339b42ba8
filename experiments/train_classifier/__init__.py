"""The classifier in whose features images are measured."""
