"""File name suffixes by use. All are lower case."""

from __future__ import annotations

#: Video containers that workflows save; everything else that a workflow saves is a still, an animation or sound.
SAVED_VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".m4v", ".avi")
#: Videos that are read from a folder of videos.
READABLE_VIDEO_SUFFIXES = (*SAVED_VIDEO_SUFFIXES, ".mpg")
#: Stills that are read from a folder of images.
STILL_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
#: Images that can have several frames.
ANIMATION_SUFFIXES = (".webp", ".gif", ".png", ".apng")
#: Suffixes that a reference image can be written with → Pillow's name of the format.
REFERENCE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
