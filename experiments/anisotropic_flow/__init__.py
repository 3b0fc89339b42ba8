"""Flow matching on the paths of inflationary flows."""
