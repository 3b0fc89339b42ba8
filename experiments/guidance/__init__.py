"""Guidance of a conditional image model at few steps: class accuracy against diversity, one xi or two, all times or some."""
