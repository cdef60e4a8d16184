"""The ComfyUI code that the nodes share: sockets, widgets, cast images, model patches, encoders, telemetry."""
