"""Workflow files: reading, converting, and validating them against a server."""
