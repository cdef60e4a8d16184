"""The state of a run: its directory, journal, history, and how progress is shown."""
