"""Nodes that keep a cast the same: IP-Adapter, references, and drawing them."""
