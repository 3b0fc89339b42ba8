"""What stands behind `experiments.images`: its settings, its images, what they are judged in and by."""
