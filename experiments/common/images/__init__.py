"""What experiments on images share: settings, batches, feature spaces, evaluation and report."""
