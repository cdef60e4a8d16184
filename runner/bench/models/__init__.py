"""Models without weights to download: tiny configurations and random weights of the true architecture."""
