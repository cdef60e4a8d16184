"""Continuity as numbers: scores, thresholds, drift, calibration."""
