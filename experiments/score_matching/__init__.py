"""Every objective of score matching beside the exact score."""
