"""Nodes that shape frames: noise, anchors, motion, location, size."""
