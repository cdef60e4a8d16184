"""Thermal guards, and telemetry of the machine."""
