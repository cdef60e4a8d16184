"""Nodes that keep a cast consistent: IP-Adapter, references, and rendering these."""
