"""UNets of Stable Diffusion 1.5, 2.1 and XL at any width, under the names of single-file checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .layout import Layout

RESIDUALS = 2  # a level, all models that are described here; a level on the way up has one more


@dataclass(frozen=True)
class UNet:
    """A UNet's architecture.

    Attributes:
        width: channels of the first level.
        multipliers: channels of each level, in widths.
        depths: transformer blocks at each attention of a level; 0 for a level without attention.
        middle_depth: transformer blocks in the middle.
        context_width: channels of a text token.
        heads, head_width: one of them is fixed, the other follows; the fixed one is not None.
        linear: whether a transformer's way in and out is a Linear layer (SD 2, SDXL), not a 1×1 convolution.
        vector_width: of SDXL's pooled text and size embeddings, in addition to the text; None for the others.
    """

    width: int
    multipliers: tuple[int, ...]
    depths: tuple[int, ...]
    middle_depth: int
    context_width: int
    heads: int | None = None
    head_width: int | None = None
    linear: bool = False
    vector_width: int | None = None

    @property
    def family(self) -> str:
        if self.vector_width is not None:
            return "SDXL"
        return "SD 2" if self.linear else "SD 1.5"

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.width * multiplier for multiplier in self.multipliers)

    @property
    def attention_widths(self) -> tuple[int, ...]:
        """Channels of each cross-attention as IP-Adapter numbers them: down, up, middle."""
        levels = list(zip(self.widths, self.depths, strict=True))
        down = [width for width, depth in levels for _ in range(RESIDUALS * depth)]
        up = [width for width, depth in reversed(levels) for _ in range((RESIDUALS + 1) * depth)]
        return (*down, *up, *[self.widths[-1]] * self.middle_depth)


SD15 = UNet(320, (1, 2, 4, 4), (1, 1, 1, 0), 1, 768, heads=8)
#: As many blocks and attentions as SD 1.5, all of them 320 wide: ComfyUI takes it for SD 1.5, at 0.3 GB.
SD15_SLIM = replace(SD15, multipliers=(1, 1, 1, 1))
SD21 = UNet(320, (1, 2, 4, 4), (1, 1, 1, 0), 1, 1024, head_width=64, linear=True)
SDXL = UNet(320, (1, 2, 4), (0, 2, 10), 10, 2048, head_width=64, linear=True, vector_width=2816)
TINY_SD15 = replace(SD15, width=32, multipliers=(1, 2, 2, 2), context_width=16)
TINY_SDXL = replace(SDXL, width=64, multipliers=(1, 1, 1), context_width=32, vector_width=16 + 6 * 8)


def lay_out_unet(unet: UNet, *, latent_channels: int = 4) -> Layout:
    """The tensors of a UNet (keys as after ``model.diffusion_model.``)."""
    layout = Layout()
    time_width = 4 * unet.width
    layout.linear("time_embed.0", time_width, unet.width)
    layout.linear("time_embed.2", time_width, time_width)
    if unet.vector_width is not None:
        layout.linear("label_emb.0.0", time_width, unet.vector_width)
        layout.linear("label_emb.0.2", time_width, time_width)

    layout.conv("input_blocks.0.0", unet.width, latent_channels)
    skipped, channels, block = [unet.width], unet.width, 1
    last = len(unet.widths) - 1
    for level, (width, depth) in enumerate(zip(unet.widths, unet.depths, strict=True)):
        for _ in range(RESIDUALS):
            _add_residual(layout, f"input_blocks.{block}.0", channels, width, time_width)
            _add_transformer(layout, f"input_blocks.{block}.1", width, depth, unet)
            channels = width
            skipped.append(channels)
            block += 1
        if level < last:
            layout.conv(f"input_blocks.{block}.0.op", channels, channels)
            skipped.append(channels)
            block += 1

    _add_residual(layout, "middle_block.0", channels, channels, time_width)
    _add_transformer(layout, "middle_block.1", channels, unet.middle_depth, unet)
    _add_residual(layout, "middle_block.2", channels, channels, time_width)

    block = 0
    for level in range(last, -1, -1):
        width, depth = unet.widths[level], unet.depths[level]
        for residual in range(RESIDUALS + 1):
            _add_residual(layout, f"output_blocks.{block}.0", channels + skipped.pop(), width, time_width)
            _add_transformer(layout, f"output_blocks.{block}.1", width, depth, unet)
            channels = width
            if level and residual == RESIDUALS:
                layout.conv(f"output_blocks.{block}.{2 if depth else 1}.conv", channels, channels)
            block += 1
    layout.norm("out.0", channels)
    layout.conv("out.2", latent_channels, channels)
    return layout


def _add_residual(layout: Layout, name: str, inputs: int, outputs: int, time_width: int) -> None:
    layout.norm(f"{name}.in_layers.0", inputs)
    layout.conv(f"{name}.in_layers.2", outputs, inputs)
    layout.linear(f"{name}.emb_layers.1", outputs, time_width)
    layout.norm(f"{name}.out_layers.0", outputs)
    layout.conv(f"{name}.out_layers.3", outputs, outputs)
    if inputs != outputs:
        layout.conv(f"{name}.skip_connection", outputs, inputs, 1)


def _add_transformer(layout: Layout, name: str, channels: int, depth: int, unet: UNet) -> None:
    if not depth:
        return
    layout.norm(f"{name}.norm", channels)
    for way in ("proj_in", "proj_out"):
        if unet.linear:
            layout.linear(f"{name}.{way}", channels, channels)
        else:
            layout.conv(f"{name}.{way}", channels, channels, 1)
    for number in range(depth):
        block = f"{name}.transformer_blocks.{number}"
        for attention, context in (("attn1", channels), ("attn2", unet.context_width)):
            # Not hot: over SDXL's 70 blocks that would make a rounding error eighty times as large.
            layout.linear(f"{block}.{attention}.to_q", channels, channels, bias=False)
            layout.linear(f"{block}.{attention}.to_k", channels, context, bias=False)
            layout.linear(f"{block}.{attention}.to_v", channels, context, bias=False)
            layout.linear(f"{block}.{attention}.to_out.0", channels, channels)
        layout.linear(f"{block}.ff.net.0.proj", 8 * channels, channels)
        layout.linear(f"{block}.ff.net.2", channels, 4 * channels)
        for norm in ("norm1", "norm2", "norm3"):
            layout.norm(f"{block}.{norm}", channels)
