"""Nodes that score, save and compile segments."""
