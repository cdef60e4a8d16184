"""Adopting a workflow: the story's nodes are put into it, and decide what a segment decides."""
