"""What scoring rules see of an ensemble forecast: wrong correlations, spread, place and scale, against the law that is true."""
