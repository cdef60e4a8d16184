"""Nodes that judge, save and compile segments."""
