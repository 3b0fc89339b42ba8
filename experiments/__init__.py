"""Experiments, run from a checkout: `python -m experiments` lists them."""
