"""Parses plain data into a `Story`, and reports all problems at once."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ..errors import ProblemList, VideoGenError
from ..timing import count_rendered_frames, format_seconds, parse_timespan
from ..video.quality import QUALITIES
from .border_parser import parse_borders
from .cast_parser import check_one_location, find_shared_names, parse_entities
from .documents import parse_document
from .file_names import MASTER_PROMPT_SUFFIXES, SEGMENTS_SUFFIXES, explain_name
from .model import Audio, Entity, Segment, Story, Style
from .pasted.other_formats import recognize
from .pasted.other_words import SEGMENTS, explain_length, find_segments_key, name_segments
from .schema import (
    AUDIO_KEYS,
    CONTROL_CHARACTERS,
    MAX_COMPOSED,
    MAX_FPS,
    MAX_FRAMES,
    MAX_MASTER_PROMPT,
    MAX_PROMPT,
    MAX_SEED,
    MAX_SEGMENTS,
    MAX_SIDE,
    MIN_FPS,
    MIN_SIDE,
    SEGMENT_KEYS,
    STORY_KEYS,
    STYLE_KEYS,
)
from .speech_parser import check_speakers, parse_dialogue, parse_language
from .transition_parser import parse_transitions
from .validation import Fields, Range, TooManyProblems, Validator, did_you_mean, found, whole_number
from .workflow_parser import check_combinations, parse_loras, parse_workflow

ReadFile = Callable[[str], str]


def parse_story(data: Any, name: str = "story", read_file: ReadFile | None = None) -> Story:
    """Validate plain data and make a story of it.

    Args:
        data: the list of segments, or the object around it (docs/story-format.md).
        name: file name for messages; its stem is the title of a story without one.
        read_file: returns the text of a file in the story's folder (``segments`` and ``master_prompt`` can name one), or
            raises ValueError with a sentence. Without it such names are refused.

    Raises:
        ProblemList: `story-invalid`, with all problems and their places.
    """
    return _StoryParser(name, read_file).parse(data)


def parse_story_text(text: str, name: str = "story", read_file: ReadFile | None = None) -> Story:
    """`parse_story` on JSON or YAML text."""
    return parse_story(parse_document(text, name), name, read_file)


#: A file of a master prompt whose name has more words is looked for before it is taken for one.
_WORDS_OF_A_NAME = 3


class _StoryParser:
    def __init__(self, name: str, read_file: ReadFile | None) -> None:
        self.name = name
        self.read_file = read_file
        self.check = Validator()
        self.warnings: list[str] = []

    def parse(self, data: Any) -> Story:
        story = None
        with contextlib.suppress(TooManyProblems):
            story = self._story(data)
        if story is None or self.check.problems:
            raise ProblemList(
                "story-invalid", self.name, self.check.problems, "docs/story-format.md describes every field."
            )
        return story

    def _story(self, data: Any) -> Story | None:
        check = self.check
        program = recognize(data)
        if program:
            check.report("", f"is {program}; `videogen import {self.name}` prints it as a story of videogen")
            return None
        if isinstance(data, list):
            data = {"segments": data}
        elif not isinstance(data, dict):
            check.report("", f"{found(data)}, expected a list of segments or an object with `segments`")
            return None
        elif key := find_segments_key(data):
            self.warnings.append(f"`{key}` is read as `segments`")
            data = name_segments(data)
        elif "segments" not in data:
            check.report("segments", f"is missing{self._meant_segments(data)}")
        fields = check.mapping(data, "", STORY_KEYS)
        fields.text("$schema")
        title = fields.text("title", default=self._title_of_file(), longest=200, filled=True)
        fps = fields.number("fps", default=Fraction(3), limits=Range(MIN_FPS, MAX_FPS, unit="frames a second"))
        frames = fields.whole("frames", default=24, low=1, high=MAX_FRAMES)
        assert fps is not None
        segments = self._segments(fields.get("segments", []), fps, frames) if "segments" in fields else []
        count = len(segments)
        style = self._style(fields.get("style", {}))
        characters = parse_entities(check, fields, "characters", "character", count, 0)
        objects = parse_entities(check, fields, "objects", "object", count, len(characters))
        locations = parse_entities(check, fields, "locations", "location", count, len(characters) + len(objects))
        check_one_location(check, locations)
        check_speakers(check, segments, characters)
        check_combinations(check, segments)
        self.warnings += find_shared_names([*characters, *objects, *locations])
        self._check_composed(count, style, (*characters, *objects, *locations))
        return Story(
            title=title,
            fps=fps,
            frames=frames,
            size=self._size(fields.get("size", [1920, 1080])),
            quality=fields.choice("quality", default="high", choices=QUALITIES),
            style=style,
            characters=characters,
            objects=objects,
            locations=locations,
            transitions=parse_transitions(check, fields.get("transitions", []), segments),
            audio=self._audio(fields.get("audio", {})),
            segments=tuple(segments),
            warnings=tuple(self.warnings),
        )

    def _check_composed(self, count: int, style: Style, cast: tuple[Entity, ...]) -> None:
        """Each segment's prompt has what the segments share: a small file can ask for gigabytes of prompts."""
        shared = sum(map(len, (style.prefix, style.suffix, style.lighting, style.negative, style.master_prompt)))
        total = count * shared + sum(len(entity.description) * len(entity.segments) for entity in cast)
        if total > MAX_COMPOSED:
            self.check.report(
                "",
                f"the prompts of all segments have {total:,} characters of style, master prompt and descriptions,"
                f" at most {MAX_COMPOSED:,} are allowed: shorten these, or split the film",
            )

    def _title_of_file(self) -> str:
        stem = re.sub(r"\.(json|ya?ml)$", "", re.split(r"[/\\]", self.name)[-1], flags=re.IGNORECASE)
        return "".join(c for c in stem.replace("_", " ") if c.isprintable()).strip()[:200] or "story"

    def _meant_segments(self, data: dict[Any, Any]) -> str:
        if not data:
            return ": the object is empty"
        others = [key for key in SEGMENTS if key in data]
        where = f" (is it in {' or '.join(map(repr, others))}? Each needs a `prompt`)" if others else ""
        return f"; expected the list of segments, or the name of a file with it{where}"

    # ------------------------------------------------------------------ segments

    def _segments(self, value: Any, fps: Fraction, frames: int) -> list[Segment]:
        check = self.check
        place_of_list = "segments"
        if isinstance(value, str):
            place_of_list = value
            value = self._file_with_segments(value)
            if value is None:
                return []
        if not isinstance(value, list):
            check.report("segments", f"{found(value)}, expected a list of segments, or the name of a file with it")
            return []
        if not value:
            check.report(place_of_list, "is an empty list, expected at least one segment")
        if len(value) > MAX_SEGMENTS:
            check.report(place_of_list, f"has {len(value):,} segments, at most {MAX_SEGMENTS:,} are allowed")
            return []
        segments: list[Segment] = []
        start = Fraction(0)
        ids: dict[str, int] = {}
        previous: tuple[int, Fraction] | None = None
        for number, item in enumerate(value, 1):
            where = f"segments[{number}]"
            before = segments[-1] if segments else None
            segment, timespan = self._segment(item, number, where, start, fps, frames, before)
            if segment.id in ids:
                check.report(
                    f"{where}.id", f"{segment.id!r} is the id of segment {ids[segment.id]} too; ids must differ"
                )
            ids.setdefault(segment.id, number)
            if timespan:
                self._check_order(where, timespan, previous)
                previous = (number, timespan[1])
            start += segment.duration
            segments.append(segment)
        return segments

    def _file_with_segments(self, file_name: str) -> Any:
        if not file_name.strip() or len(file_name) > 255 or CONTROL_CHARACTERS.search(file_name):
            self.check.report(
                "segments", f"{found(file_name)}, expected a list of segments, or the name of a file with it"
            )
            return None
        text = self._read("segments", file_name, SEGMENTS_SUFFIXES)
        if text is None:
            return None
        try:
            data = parse_document(text, file_name)
        except VideoGenError as error:
            self.check.report("segments", error.message)
            return None
        if isinstance(data, dict) and "segments" in data:
            self.check.report(
                "segments", f"{file_name} is a whole story; expected a file with only the list of segments"
            )
            return None
        return data

    def _read(self, where: str, file_name: str, suffixes: tuple[str, ...]) -> str | None:
        if self.read_file is None:
            self.check.report(
                where, f"names the file {file_name!r}, but a story without a folder must carry everything itself"
            )
            return None
        problem = explain_name(file_name, suffixes)
        if problem:
            self.check.report(where, f"{file_name!r} {problem}")
            return None
        try:
            return self.read_file(file_name)
        except ValueError as error:
            self.check.report(where, str(error))
            return None

    def _segment(
        self,
        item: Any,
        number: int,
        where: str,
        start: Fraction,
        fps: Fraction,
        story_frames: int,
        before: Segment | None,
    ) -> tuple[Segment, tuple[Fraction, Fraction] | None]:
        check = self.check
        fields = check.mapping(item, where, SEGMENT_KEYS, lambda key, value: explain_length(key, value, fps))
        if "prompt" not in fields and isinstance(item, dict):
            meant = did_you_mean("prompt", [key for key in item if key not in SEGMENT_KEYS and isinstance(key, str)])
            check.report(f"{where}.prompt", f"is missing, expected text{meant.replace('did you mean', 'is it in')}")
        timespan = None
        if "timespan" in fields:
            text = fields.text("timespan", filled=True, longest=100)
            if text:
                timespan = check.attempt(f"{where}.timespan", lambda: parse_timespan(text), None)
        frames = fields.whole("frames", default=None, low=1, high=MAX_FRAMES)
        if timespan:
            duration = timespan[1] - timespan[0]
            frames = frames or count_rendered_frames(duration, fps)
        else:
            frames = frames or story_frames
            duration = frames / fps
        if frames > MAX_FRAMES or duration > 3600:
            key = ".timespan" if timespan else ".frames" if "frames" in fields else ""
            check.report(
                f"{where}{key}",
                f"is {format_seconds(duration)} or {frames:,} frames at {float(fps):g} fps, at most 3600 s"
                f" and {MAX_FRAMES:,} frames are allowed",
            )
        return (
            Segment(
                number=number,
                id=self._segment_id(fields, number),
                start=start,
                duration=duration,
                frames=frames,
                seed=fields.whole("seed", default=1000 + number, low=0, high=MAX_SEED),
                prompt=fields.text("prompt", longest=MAX_PROMPT, filled=True),
                description=fields.text("description", longest=2000),
                technical=fields.text("technical", longest=2000),
                continuity=fields.text("continuity", longest=2000),
                negative=fields.text("negative", longest=2000),
                narration=fields.text("narration", longest=2000),
                dialogue=parse_dialogue(check, fields.get("dialogue", []), f"{where}.dialogue"),
                workflow=parse_workflow(fields),
                loras=parse_loras(check, fields.get("loras", []), f"{where}.loras"),
                **dataclasses.asdict(parse_borders(check, fields, number, before)),
            ),
            timespan,
        )

    def _segment_id(self, fields: Fields, number: int) -> str:
        default = f"segment_{number:02d}"
        name = fields.text("id", default=default, longest=100, filled=True)
        # Ids become parts of file names and URLs.
        if not re.fullmatch(r"\w[\w.-]*", name) or ".." in name:
            fields.report(
                "id", f"{found(name)}, expected letters, digits, '_', '-' and single dots, as in 'segment_01'"
            )
            return default
        return name

    def _check_order(
        self, where: str, timespan: tuple[Fraction, Fraction], previous: tuple[int, Fraction] | None
    ) -> None:
        if previous is None:
            return
        number, end = previous
        if timespan[0] < end:
            self.check.report(
                f"{where}.timespan",
                f"starts at {format_seconds(timespan[0])} and overlaps segment {number}, which ends at {format_seconds(end)}",
            )
        elif timespan[0] > end:
            self.warnings.append(
                f"{where}.timespan: there is a gap of {format_seconds(timespan[0] - end)} after segment {number};"
                " the film closes it"
            )

    # ------------------------------------------------------------------ what segments share

    def _style(self, value: Any) -> Style:
        fields = self.check.mapping(value, "style", STYLE_KEYS)
        master_prompt = fields.text("master_prompt", longest=MAX_MASTER_PROMPT)
        if self._names_file(master_prompt):
            master_prompt = self._read("style.master_prompt", master_prompt, MASTER_PROMPT_SUFFIXES) or ""
            content = self.check.mapping({"master_prompt": master_prompt.removeprefix("\ufeff")}, "style")
            master_prompt = content.text("master_prompt", longest=MAX_MASTER_PROMPT)
        return Style(
            prefix=fields.text("prefix"),
            suffix=fields.text("suffix"),
            negative=fields.text("negative"),
            lighting=fields.text("lighting"),
            kelvin=self._kelvin(fields["kelvin"]) if "kelvin" in fields else None,
            master_prompt=master_prompt,
        )

    def _names_file(self, master_prompt: str) -> bool:
        """Whether a master prompt is the name of its file: one line that ends like a text file.

        A sentence can end so too: one with many words is a name only where there is such a file.
        """
        if not re.fullmatch(r"[^\n]{1,255}\.(md|txt)", master_prompt, re.IGNORECASE):
            return False
        if len(master_prompt.split()) <= _WORDS_OF_A_NAME:
            return True
        if self.read_file is None or explain_name(master_prompt, MASTER_PROMPT_SUFFIXES):
            return False
        try:
            self.read_file(master_prompt)
        except ValueError:
            self.warnings.append("style.master_prompt is read as text: there is no file of that name")
            return False
        return True

    def _kelvin(self, value: Any) -> tuple[int, int] | None:
        values = value if isinstance(value, list) and len(value) == 2 else [value, value]
        numbers = [number for number in map(whole_number, values) if number is not None and 1000 <= number <= 20000]
        if len(numbers) == 2 and numbers[0] <= numbers[1]:
            return numbers[0], numbers[1]
        self.check.report(
            "style.kelvin",
            f"{found(value)}, expected a color temperature such as 5500 or [5500, 6000] (1000 to 20000)",
        )
        return None

    # ------------------------------------------------------------------ size and audio

    def _size(self, value: Any) -> tuple[int, int]:
        expected = f"expected [width, height], even whole numbers from {MIN_SIDE} to {MAX_SIDE}"
        sides = [whole_number(side) for side in value] if isinstance(value, list) else []
        width, height = sides if len(sides) == 2 else (None, None)
        if width is None or height is None:
            self.check.report("size", f"{found(value)}, {expected}")
        elif not all(MIN_SIDE <= side <= MAX_SIDE and side % 2 == 0 for side in (width, height)):
            self.check.report("size", f"{found(width)} × {found(height).removeprefix('found ')}, {expected}")
        elif max(width, height) > 16 * min(width, height):
            self.check.report("size", f"found {width} × {height}, expected sides of at most 16 : 1")
        else:
            return width, height
        return 1920, 1080

    def _audio(self, value: Any) -> Audio:
        fields = self.check.mapping(value, "audio", AUDIO_KEYS)
        narration = fields.flag("narration")
        return Audio(fields.text("music", longest=255), narration, parse_language(fields))
