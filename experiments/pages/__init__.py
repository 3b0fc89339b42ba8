"""Figures and the report page, once for all families."""
