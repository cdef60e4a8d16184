"""What the nodes share of ComfyUI: patches on models, encoders, schedules, devices, telemetry."""
