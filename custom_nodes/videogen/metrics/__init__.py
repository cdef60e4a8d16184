"""Continuity measured in images: numpy and OpenCV only, so that nodes and the runner can both use it."""
