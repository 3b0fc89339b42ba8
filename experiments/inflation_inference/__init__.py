"""Bayesian inference through inflationary flows."""
