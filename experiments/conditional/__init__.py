"""What stands behind `experiments.conditional_ot`."""
