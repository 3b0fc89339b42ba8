"""Two trained image models in different numbers of steps: which is closer to held-out images, and how sure that is."""
