"""Nodes that wait for a hot device, or free its memory."""
