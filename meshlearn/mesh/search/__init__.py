"""Searches behind point location: candidates by bounding balls, inverse maps of cells, walks, closest points."""
