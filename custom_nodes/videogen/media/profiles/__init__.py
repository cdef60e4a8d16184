"""Files of model profiles: those that ship, and those of the user."""
