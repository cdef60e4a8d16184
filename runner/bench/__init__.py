"""`videogen bench`: each subject measured against a named peer, in one run on one machine."""
