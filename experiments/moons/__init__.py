"""What stands behind `experiments.two_moons`: models, judging, figures, report."""
