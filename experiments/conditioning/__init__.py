"""Conditioning on a measurement where the posterior is known."""
