"""Guidance of a conditional image model at few steps."""
