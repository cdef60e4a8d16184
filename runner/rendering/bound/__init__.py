"""Workflows without our nodes: the inputs that a segment decides, and the values that these get."""
