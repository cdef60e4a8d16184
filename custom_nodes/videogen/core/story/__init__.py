"""The story: its model, its format, and how it is read and validated."""
