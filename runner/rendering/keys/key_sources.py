"""What keys are made of, besides a segment's graph and plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...workflows.bindings import Binding, InputRef
from ...workflows.image_inputs import ImageInput

HashFile = Callable[[str], str]
#: (folder below ``models`` or "", name) → SHA-256 of a model file, or "" when it cannot be told.
HashModel = Callable[[str, str], str]


@dataclass(frozen=True)
class KeySources:
    """What the keys of all segments of a run are made of.

    Attributes:
        story_data: the story as plain data that carries everything itself.
        first_frame_inputs: for the image that a segment begins from; the runner writes them for segments that continue one.
        image_inputs: nodes of the graph that read images of the story.
        object_info: the schemas of the server's nodes.
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
        hash_image: the same of an image of the cast, wherever it is.
        hash_model: of a model file.
        output_node: the node whose file is the segment, where the user has named one; else "".
    """

    story_data: Mapping[str, Any]
    bindings: Sequence[Binding]
    first_frame_inputs: Sequence[InputRef]
    image_inputs: Sequence[ImageInput]
    object_info: Mapping[str, Any]
    hash_input: HashFile
    hash_image: HashFile
    hash_model: HashModel = lambda folder, name: ""
    output_node: str = ""
