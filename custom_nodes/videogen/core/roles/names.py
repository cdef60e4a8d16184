"""Names of inputs that nodes of ComfyUI, of its partners and of the common packs give to the same thing."""

from __future__ import annotations

import re

from .table import Role

#: Numbers of frames of a clip that is made.
FRAMES = ("length", "num_frames", "frames_number", "video_frames", "video_length", "frame_count", "frames", "n_frames")
FPS = ("fps", "frame_rate")
SEED = ("seed", "noise_seed")
DURATION = re.compile(r"(^|_)duration(_seconds)?$|^seconds$")
RESOLUTION = re.compile(r"(^|_)resolution$|^size$")
ASPECT_RATIO = ("aspect_ratio", "ratio")

#: One of several fields of a node for the same prompt, each for another text encoder.
ENCODER_TEXT = re.compile(r"^text_(g|l)$|^clip_(g|l)$|^t5xxl$|^llama$")
_PROMPT = re.compile(rf"prompt|^text$|{ENCODER_TEXT.pattern}|^description$|^tags$")
#: Texts that tell a language model how to write, and what a person says: no prompts.
_NO_PROMPT = re.compile(r"system|instruction|speech|dialog|lyrics")
_NEGATIVE = re.compile(r"negative|^neg_|uncond")
_LAST_FRAME = re.compile(
    r"^(end|last|tail)_?(image|frame|keyframe|img)?(_url)?$|^image_?(end|tail|last)$|_end(_image|_frame)?$|^end_"
)
_FIRST_FRAME = re.compile(
    r"^(start|first|init|initial)_?(image|frame|keyframe|img)?(_url)?$|^start_|^first_|_start_image$"
)
_REFERENCE = re.compile(
    r"ref(erence)?s?(_|\d|$)|refer|character|subject|^elements?|style_image|face_image|identity|clip_vision_image"
)
_CONTROL = re.compile(r"video|control|pose|depth|canny|mask|motion|background|driving|track")


def text_role(name: str) -> Role | None:
    """The role of a text by the name of its input; None for what is no prompt."""
    if _NO_PROMPT.search(name.lower()):
        return None
    name = name.rpartition(".")[2].lower()
    if _NEGATIVE.search(name):
        return Role.NEGATIVE
    return Role.PROMPT if _PROMPT.search(name) else None


def image_role(name: str) -> Role | None:
    """The role of an image by the name of its input, nested ones included; None where the name says nothing.

    What guides every frame (a pose, a mask, another video) is `Role.INPUT_VIDEO`.
    """
    whole = name.lower()
    last = whole.rpartition(".")[2]
    if _REFERENCE.search(whole):
        # The frames before the clip are no picture of anybody.
        return Role.INPUT_VIDEO if "video" in last else None if "motion" in last else Role.REFERENCE
    if _LAST_FRAME.search(last):
        return Role.LAST_FRAME
    if _FIRST_FRAME.search(last):
        return Role.FIRST_FRAME
    if _CONTROL.search(last):
        return Role.INPUT_VIDEO
    return None
