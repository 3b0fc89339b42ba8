"""Digits restored from measurements, with calibrated intervals."""
