"""Rendering segments: jobs, workers, retries, takes, and the film."""
