"""What stands behind `experiments.images`: models, judging, figures, report."""
