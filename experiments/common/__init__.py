"""What several experiments share: the runner, settings, figures and reports."""
