"""CLIP's text and vision towers, under Hugging Face's names."""

from __future__ import annotations

from dataclasses import dataclass

from .layout import Layout


@dataclass(frozen=True)
class VisionTower:
    """A CLIP vision encoder.

    Attributes:
        width: channels of a token of its hidden states.
        feed_forward: channels in the middle of an MLP.
        projection: channels of `image_embeds`.
        patch: pixels along an edge of a patch; the image is always 224×224.
    """

    width: int
    layers: int
    feed_forward: int
    projection: int
    patch: int = 14

    @property
    def tokens(self) -> int:
        """One a patch and one of the class."""
        return (224 // self.patch) ** 2 + 1


VIT_L = VisionTower(1024, 24, 4096, 768)
#: The encoder of most adapters.
VIT_H = VisionTower(1280, 32, 5120, 1024)
#: The encoder of SDXL's first adapter.
VIT_BIG_G = VisionTower(1664, 48, 8192, 1280)


def lay_out_vision(tower: VisionTower) -> Layout:
    """The tensors of a ``CLIPVisionModelWithProjection``."""
    layout = Layout()
    embeddings = "vision_model.embeddings"
    layout.embedding(f"{embeddings}.class_embedding", tower.width)
    layout.conv(f"{embeddings}.patch_embedding", tower.width, 3, tower.patch, bias=False)
    layout.embedding(f"{embeddings}.position_embedding.weight", tower.tokens, tower.width)
    layout.norm("vision_model.pre_layrnorm", tower.width)  # spelled so in every published file
    _add_layers(layout, "vision_model.encoder", tower.layers, tower.width, tower.feed_forward)
    layout.norm("vision_model.post_layernorm", tower.width)
    layout.linear("visual_projection", tower.projection, tower.width, bias=False)
    return layout


def lay_out_text() -> Layout:
    """The tensors of CLIP ViT-L's text tower (keys as after ``cond_stage_model.transformer.``)."""
    layout = Layout()
    layout.embedding("text_model.embeddings.token_embedding.weight", 49408, 768)
    layout.embedding("text_model.embeddings.position_embedding.weight", 77, 768)
    _add_layers(layout, "text_model.encoder", 12, 768, 3072)
    layout.norm("text_model.final_layer_norm", 768)
    return layout


def _add_layers(layout: Layout, name: str, layers: int, width: int, feed_forward: int) -> None:
    for number in range(layers):
        layer = f"{name}.layers.{number}"
        for part in ("q_proj", "k_proj"):
            layout.query_or_key(f"{layer}.self_attn.{part}", width, width, bias=True)
        for part in ("v_proj", "out_proj"):
            layout.linear(f"{layer}.self_attn.{part}", width, width)
        layout.norm(f"{layer}.layer_norm1", width)
        layout.norm(f"{layer}.layer_norm2", width)
        layout.linear(f"{layer}.mlp.fc1", feed_forward, width)
        layout.linear(f"{layer}.mlp.fc2", width, feed_forward)
