"""The tested version of each package, one file a Python, and the command that writes them."""
