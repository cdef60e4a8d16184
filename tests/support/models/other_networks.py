"""Tiny networks with random weights beside UNets and adapters, as ComfyUI's loaders put them out.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

from typing import Any

import comfy.cldm.cldm
import comfy.controlnet
import comfy.gligen
import comfy.model_patcher
import comfy.supported_models
import torch

from runner.bench.models.random_weights.unets import UNet
from runner.bench.models.tiny_models import _describe_for_comfy, draw_unet

#: Channels that an inpainting model is given in addition: the picture's latents, and the mask.
INPAINTING_CHANNELS = 5


def draw_control_net(unet: UNet) -> comfy.controlnet.ControlNet:
    """What Load ControlNet Model puts out."""
    config = {**_describe_for_comfy(unet), "hint_channels": 3}
    for only_of_unets in ("out_channels", "transformer_depth_output", "use_temporal_attention"):
        del config[only_of_unets]
    network = comfy.cldm.cldm.ControlNet(**config, device="cpu", dtype=torch.float32).eval()
    _draw(network)
    return comfy.controlnet.ControlNet(network, load_device=torch.device("cpu"))


def draw_gligen(unet: UNet) -> Any:
    """What GLIGENLoader puts out, for a model with a transformer layer in each attention block."""
    down = unet.attention_widths[: len(unet.attention_widths) * 6 // 16]
    up = unet.attention_widths[len(down) : -1]
    widths = [*down, unet.attention_widths[-1], *up]
    key_width = 12
    layers = [comfy.gligen.GatedSelfAttentionDense(width, key_width, 8, width // 8) for width in widths]
    network = comfy.gligen.Gligen(layers, comfy.gligen.PositionNet(key_width, key_width), key_width).eval()
    _draw(network)
    with torch.no_grad():
        for layer in layers:
            layer.alpha_attn.fill_(0.5)
            layer.alpha_dense.fill_(0.5)
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(network, load_device=device, offload_device=device)


def draw_inpainting_model(unet: UNet) -> Any:
    """A MODEL of SD 1.5 for inpainting: its network is given the picture and the mask with the latents."""
    config = comfy.supported_models.SD15({**_describe_for_comfy(unet), "in_channels": 4 + INPAINTING_CHANNELS})
    config.set_inference_dtype(torch.float32, None)
    device = torch.device("cpu")
    model = config.get_model({}, device=device)
    weights = dict(draw_unet(unet))
    first = weights["input_blocks.0.0.weight"]
    more = torch.randn(len(first), INPAINTING_CHANNELS, 3, 3, generator=torch.Generator().manual_seed(3)) / 5
    model.diffusion_model.load_state_dict({**weights, "input_blocks.0.0.weight": torch.cat([first, more], dim=1)})
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


def _draw(network: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            gain = 1.0 if parameter.ndim > 1 else 0.05
            width = parameter[0].numel() if parameter.ndim else 1
            parameter.normal_(0.0, gain / max(1, width) ** 0.5, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
