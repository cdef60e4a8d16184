"""Roles of a workflow's inputs: which of them a segment decides."""
