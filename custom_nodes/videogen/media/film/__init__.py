"""A film out of the files of its segments."""
