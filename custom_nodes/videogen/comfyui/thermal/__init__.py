"""Guards on a sampling, and telemetry of the machine."""
