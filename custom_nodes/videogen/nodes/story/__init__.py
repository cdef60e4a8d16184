"""Nodes that load a story and select a segment of it."""
