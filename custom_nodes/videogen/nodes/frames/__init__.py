"""Nodes for frames: noise, anchors, motion, location, color, size."""
