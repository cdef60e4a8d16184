"""`videogen bench`: each subject measured beside a named peer, in one run on one machine."""
