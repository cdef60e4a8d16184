"""Bounds on what a server sends: how much, how long, how often."""
