"""Nodes that wait while a device is too hot or too full."""
