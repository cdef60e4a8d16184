"""VideoGenAnchorAttention: the frames of a shot attend to its first one."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...comfyui.attention import prompt_rows
from ...comfyui.attention.anchor_patch import AnchorChain, AnchorPatch, count_chunks
from ...comfyui.attention.patch_chain import patch_of
from ...comfyui.attention.unet_blocks import BLOCK_CHOICES, choose_blocks, need_image_unet
from ...comfyui.frames.frame_batches import FrameBatches
from ...core.story.schema import MAX_FRAMES

FIRST, FIRST_AND_PREVIOUS = "first", "first and previous"


class VideoGenAnchorAttention(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenAnchorAttention",
            display_name="Anchor Attention",
            category="videogen/frames",
            description="Every frame of a batch also attends to the first one while it is sampled, so that all show the same.",
            inputs=[
                io.Model.Input("model", tooltip="SD 1.5, SD 2.x, SDXL or SDXL-Turbo."),
                io.Float.Input(
                    "strength",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="0: every frame attends to itself only, as without this node. 0.5: to itself and the anchors"
                    " equally. 1: to the anchors only.",
                ),
                io.Combo.Input(
                    "anchors",
                    options=[FIRST, FIRST_AND_PREVIOUS],
                    default=FIRST,
                    tooltip="The frames that every frame attends to. With the previous one, movement is smoother, and the"
                    " attention takes half as much time again.",
                ),
                io.Float.Input(
                    "start", default=0.0, min=0.0, max=1.0, step=0.01, tooltip="Start, as a share of the sampling."
                ),
                io.Float.Input(
                    "end", default=1.0, min=0.0, max=1.0, step=0.01, tooltip="End, as a share of the sampling."
                ),
                io.Combo.Input(
                    "blocks",
                    options=list(BLOCK_CHOICES),
                    default="all",
                    tooltip="Parts of the model. Without the finest resolution it is much faster, and small details may"
                    " differ.",
                ),
                io.Int.Input(
                    "frames_per_pass",
                    default=8,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="How many frames the model processes at a time; 0: all. It changes the memory use, not the"
                    " pictures.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    def validate_inputs(cls, start: float | None, end: float | None) -> bool | str:
        if start is not None and end is not None and start > end:
            return f"`start` is {start:g} and `end` is {end:g}, expected a `start` that is not after `end`"
        return True

    @classmethod
    def execute(
        cls, model: Any, strength: float, anchors: str, start: float, end: float, blocks: str, frames_per_pass: int
    ) -> io.NodeOutput:
        return io.NodeOutput(
            anchor_frames(
                model,
                strength=strength,
                previous=anchors == FIRST_AND_PREVIOUS,
                start=start,
                end=end,
                blocks=blocks,
                frames_per_pass=frames_per_pass,
            )
        )


def anchor_frames(
    model: Any,
    *,
    strength: float = 0.5,
    previous: bool = False,
    start: float = 0.0,
    end: float = 1.0,
    blocks: str = "all",
    frames_per_pass: int = 0,
) -> Any:
    """A clone of a model in which the frames of a batch attend to the first one (formula in `tensor.anchor_attention`).

    Cost: a self-attention layer over N tokens a frame does 2 N² products a frame instead of N², 3 N² with `previous`; at
    strength 1 N² less. All else in the model is unchanged. Where weights are not equal (`strength` neither 0.5 nor 1), each
    head has 8 channels more, 72 instead of 64. docs/performance.md has the share of a whole step.

    Memory: joint keys and values, at most 256 MB each at a time, never a matrix of attention. With `frames_per_pass`, keys
    and values of one frame (two with `previous`) of all layers are kept during a step; in half precision at 1920 x 1080 that
    is 0.8 GB for SDXL and 0.4 GB for SD 1.5, a frame and prompt. The activations of the UNet shrink to frames_per_pass /
    frames: as ComfyUI estimates them, SDXL with 24 frames and both prompts at 1920 x 1080 takes 25 GB at once, 8 GB with 8
    frames a pass and 2 GB with 2.

    The frames are the rows of each prompt's part of the batch; with context windows, a window's first frame is the first one.
    Another patch of a layer (`attn1` replace), set before or after, is called with the joint keys (see `AnchorPatch`); an earlier
    Anchor Attention is replaced.

    Args:
        strength: 0 leaves attention unchanged, bit by bit.
        start, end: share of the sampling, as ComfyUI counts it.
        blocks: a key of `BLOCK_CHOICES`.
        frames_per_pass: see `FrameBatches`.

    Raises:
        VideoGenError: `model-unsupported` for a model without a UNet for images.
    """
    unet = need_image_unet(model, "Anchor Attention")
    keys = choose_blocks(unet, blocks) if strength > 0 and start < end else []
    if not keys and not frames_per_pass:
        return model
    patched = model.clone()
    batches = FrameBatches(frames_per_pass, start=start, end=end, memory_frames=2 * (1 + previous) if keys else 0)
    patches = {key: AnchorPatch(key, strength, previous, batches.is_active) for key in keys}
    replaced = _without_anchors(patched)
    for key, patch in patches.items():
        patched.set_model_attn1_replace(patch.over(patch_of(replaced, key)), *key)
    batches.settle, batches.count_chunks = AnchorChain(patches).settle, count_chunks
    batches.attach(patched)
    prompt_rows.attach(patched)
    return patched


def _without_anchors(model: Any) -> dict[Any, Any]:
    """Remove an earlier Anchor Attention from a clone, and return the patches that other nodes have put in place of a
    self-attention."""
    options = model.model_options["transformer_options"]
    replaced = options.get("patches_replace", {}).get("attn1", {})
    found = {key: patch.below if isinstance(patch, AnchorPatch) else patch for key, patch in replaced.items()}
    others = {key: patch for key, patch in found.items() if patch is not None}
    if len(others) < len(replaced) or any(others[key] is not replaced[key] for key in others):
        patches = {**options["patches_replace"], "attn1": others}
        model.model_options["transformer_options"] = {**options, "patches_replace": patches}
    return others


NODES = [VideoGenAnchorAttention]
