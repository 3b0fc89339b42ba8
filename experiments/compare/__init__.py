"""Two trained image models in different numbers of steps."""
