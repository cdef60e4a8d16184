"""What reaches a terminal: all of it goes through here."""
