"""Footage that continuity is measured on."""
