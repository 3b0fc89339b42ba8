"""The table of docs/results.md of stored runs whose commands now do something otherwise."""
