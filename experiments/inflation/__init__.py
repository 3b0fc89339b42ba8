"""Inflationary flows on toys and digits."""
