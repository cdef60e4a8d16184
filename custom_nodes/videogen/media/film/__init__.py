"""Makes a film from the files of its segments."""
