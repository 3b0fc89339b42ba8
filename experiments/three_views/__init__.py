"""SDE, density and probability flow of one process."""
