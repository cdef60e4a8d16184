"""The story: its model, its file format, parser and validation."""
