"""Nodes that read a story and choose a segment of it."""
