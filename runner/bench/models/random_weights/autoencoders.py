"""The autoencoder of Stable Diffusion 1.5 and XL."""

from __future__ import annotations

from .layout import Layout

WIDTHS = (128, 256, 512, 512)
RESIDUALS = 2


def lay_out_autoencoder(*, latent_channels: int = 4) -> Layout:
    """The tensors of the autoencoder (keys as after ``first_stage_model.``)."""
    layout = Layout()
    layout.conv("encoder.conv_in", WIDTHS[0], 3)
    channels = WIDTHS[0]
    for level, width in enumerate(WIDTHS):
        for number in range(RESIDUALS):
            _add_residual(layout, f"encoder.down.{level}.block.{number}", channels, width)
            channels = width
        if level < len(WIDTHS) - 1:
            layout.conv(f"encoder.down.{level}.downsample.conv", channels, channels)
    _add_middle(layout, "encoder.mid", channels)
    layout.norm("encoder.norm_out", channels)
    layout.conv("encoder.conv_out", 2 * latent_channels, channels)

    layout.conv("decoder.conv_in", channels, latent_channels)
    _add_middle(layout, "decoder.mid", channels)
    for level in range(len(WIDTHS) - 1, -1, -1):
        for number in range(RESIDUALS + 1):
            _add_residual(layout, f"decoder.up.{level}.block.{number}", channels, WIDTHS[level])
            channels = WIDTHS[level]
        if level:
            layout.conv(f"decoder.up.{level}.upsample.conv", channels, channels)
    layout.norm("decoder.norm_out", channels)
    layout.conv("decoder.conv_out", 3, channels)

    layout.conv("quant_conv", 2 * latent_channels, 2 * latent_channels, 1)
    layout.conv("post_quant_conv", latent_channels, latent_channels, 1)
    return layout


def _add_residual(layout: Layout, name: str, inputs: int, outputs: int) -> None:
    layout.norm(f"{name}.norm1", inputs)
    layout.conv(f"{name}.conv1", outputs, inputs)
    layout.norm(f"{name}.norm2", outputs)
    layout.conv(f"{name}.conv2", outputs, outputs)
    if inputs != outputs:
        layout.conv(f"{name}.nin_shortcut", outputs, inputs, 1)


def _add_middle(layout: Layout, name: str, channels: int) -> None:
    _add_residual(layout, f"{name}.block_1", channels, channels)
    layout.norm(f"{name}.attn_1.norm", channels)
    for part in ("q", "k", "v", "proj_out"):
        layout.conv(f"{name}.attn_1.{part}", channels, channels, 1)
    _add_residual(layout, f"{name}.block_2", channels, channels)
