"""The part of `frozen_schema` with the nodes of video models through diffusers."""

from __future__ import annotations

Schema = tuple[str, dict[str, str], dict[str, str], dict[str, str]]

_TEXT = {"prompt": "STRING", "negative": "STRING", "seed": "INT", "frames": "INT"}
_SIZE = {"width": "INT", "height": "INT"}

VIDEO_MODELS: dict[str, Schema] = {
    "VideoGenDiffusersLoader": (
        "videogen/models",
        {
            "model": "COMBO",
            "hub_id": "STRING",
            "dtype": "COMBO",
            "offload": "COMBO",
            "vae_tiling": "BOOLEAN",
            "quantization": "COMBO",
            "afterwards": "COMBO",
            "download": "BOOLEAN",
        },
        {"transformer": "STRING", "image_encoder": "STRING"},
        {"pipeline": "VIDEOGEN_PIPELINE"},
    ),
    "VideoGenCogVideoXI2V": (
        "videogen/models",
        {
            "pipeline": "VIDEOGEN_PIPELINE",
            "image": "IMAGE",
            **_TEXT,
            **_SIZE,
            "mode": "COMBO",
            "steps": "INT",
            "guidance": "FLOAT",
            "scheduler": "COMBO",
            "lora": "COMBO",
            "lora_strength": "FLOAT",
        },
        {"segment": "SEGMENT"},
        {"images": "IMAGE", "fps": "FLOAT"},
    ),
    "VideoGenSkyReels": (
        "videogen/models",
        {
            "pipeline": "VIDEOGEN_PIPELINE",
            **_TEXT,
            "fps": "INT",
            "resolution": "COMBO",
            **_SIZE,
            "steps": "INT",
            "guidance": "FLOAT",
            "overlap_history": "INT",
            "addnoise_condition": "INT",
            "ar_step": "INT",
            "causal_block_size": "INT",
        },
        {"image": "IMAGE", "last_image": "IMAGE", "video": "IMAGE", "segment": "SEGMENT", "base_frames": "INT"},
        {"images": "IMAGE", "fps": "FLOAT"},
    ),
    "VideoGenFramePack": (
        "videogen/models",
        {
            "pipeline": "VIDEOGEN_PIPELINE",
            "image": "IMAGE",
            **_TEXT,
            **_SIZE,
            "sampler": "COMBO",
            "steps": "INT",
            "guidance": "FLOAT",
            "true_guidance": "FLOAT",
            "latent_window_size": "INT",
        },
        {"last_image": "IMAGE", "segment": "SEGMENT"},
        {"images": "IMAGE", "fps": "FLOAT"},
    ),
}

VIDEO_MODEL_CHOICES: dict[tuple[str, str], list[str]] = {
    ("VideoGenDiffusersLoader", "dtype"): ["auto", "bfloat16", "float16", "float32"],
    ("VideoGenDiffusersLoader", "offload"): ["none", "model", "sequential", "group"],
    ("VideoGenDiffusersLoader", "quantization"): ["none", "8-bit", "4-bit"],
    ("VideoGenDiffusersLoader", "afterwards"): ["keep in memory", "free"],
    ("VideoGenCogVideoXI2V", "mode"): ["full", "optimized"],
    ("VideoGenCogVideoXI2V", "scheduler"): ["model's own", "DDIM", "DPM++"],
    ("VideoGenSkyReels", "resolution"): ["540p", "720p", "custom"],
    ("VideoGenFramePack", "sampler"): ["inverted anti-drifting", "F1"],
}
