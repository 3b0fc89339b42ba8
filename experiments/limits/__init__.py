"""What exact oracles reach at every number of steps."""
