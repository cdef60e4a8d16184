"""How much of each kind of answer is read from a server, and how long that may take: one table, with the reasons.

An answer beyond its limit is refused with the number, and its server with it; of a file for a segment, only the file is refused.
The runner itself takes 100 MB of memory; with any answer that fills its limit it stays below 300 MB.
"""

from __future__ import annotations

from dataclasses import dataclass

_KB, _MB = 1_000, 1_000_000


@dataclass(frozen=True)
class Limit:
    """What one answer may take.

    Attributes:
        bytes: of its body, unpacked.
        seconds: until it is there as a whole, however often a little of it comes.
        rate: bytes a second that it must bring after that time; 0 where it must be over by then.
        values: lists, dictionaries and commas of a JSON answer: each becomes an object of some 70 bytes.
        dictionaries: of these, the dictionaries, which take 230 bytes.
    """

    bytes: int
    seconds: float = 60.0
    rate: int = 0
    values: int = 200_000
    dictionaries: int = 50_000


#: Statistics, answers to prompts and uploads, lists of models, telemetry: some kilobytes.
SMALL = Limit(4 * _MB)
#: The schemas of ComfyUI's own 557 nodes are 0.6 MB, with 36,000 values and 5,200 dictionaries: these are 9,000 nodes, and many
#: long lists of models. A ComfyUI with hundreds of packs takes its time.
OBJECT_INFO = Limit(16 * _MB, 300.0, values=600_000, dictionaries=100_000)
#: An entry has the graph, the workflow and the results of one prompt.
HISTORY = Limit(16 * _MB, values=300_000, dictionaries=100_000)
#: The queue has the graphs and workflows of all clients' prompts, of which only the ids become values.
QUEUE = Limit(64 * _MB, values=300_000, dictionaries=100_000)
MAX_QUEUE = 10_000
#: An answer that msgspec does not take, with NaN for a number or half a character in a text, is parsed as a whole, up to this.
LENIENT_BYTES = 8 * _MB
#: The jobs that wait and run, without graphs: some hundred bytes each.
JOBS = Limit(16 * _MB, values=300_000, dictionaries=100_000)
#: A prompt is checked before it is answered, which can load models.
PROMPT = Limit(4 * _MB, 300.0)
#: Of files the time depends on the size: a slow line is no reason to refuse one, a single byte now and then is.
FILE_SECONDS, FILE_RATE = 60.0, 4 * _KB
#: A picture or video of the server's input folder that is read into memory.
INPUT_FILE = Limit(64 * _MB, FILE_SECONDS, FILE_RATE)
#: One that is only hashed.
HASHED_FILE = Limit(4_000 * _MB, FILE_SECONDS, FILE_RATE)

#: Status line and headers, with all that came before them (HTTP 100): a proxy may add some kilobytes.
MAX_HEADING = 256 * _KB
#: How many times larger than its packed form an answer may be. We ask for none that is packed; JSON gets 20 times smaller.
MAX_RATIO = 200
#: Of an answer that is packed, the first bytes are not measured against the ratio.
RATIO_FROM = 1 * _MB

#: A websocket's message: events are some kilobytes, previews some megabytes.
MAX_MESSAGE = 16 * _MB
#: Frames of one message: each is appended to all before it.
MAX_FRAMES = 2_000
#: A text message that is read as an event.
MAX_EVENT = 1 * _MB
#: Texts of events that wait until somebody has the time for them.
MAX_WAITING_EVENTS = 2 * _MB
#: Seconds for the handshake of a websocket.
HANDSHAKE_SECONDS = 20.0

#: What a server says went wrong, or what it calls something, as it stands in errors, journal and report.
MAX_TEXT = 4 * _KB
MAX_NAME = 200
#: Records that a result's nodes pass on into the journal, as JSON.
MAX_RECORD = 1 * _MB

#: A segment's files have at most the first plus their frames without compression, times the second: codecs without loss need
#: about half of that, and a workflow may upscale or add frames.
SEGMENT_BASE, SEGMENT_FACTOR, MAX_SEGMENT = 64 * _MB, 2, 16_000 * _MB
#: Pixels of a picture that is a segment's frame: those of the story times the first, for workflows that upscale, or the second.
#: Decoded it takes three bytes for each, twice.
PICTURE_FACTOR, PICTURE_BASE = 4, 17_000_000
#: A reference picture.
MAX_PICTURE = 64 * _MB
#: Bytes on this machine's disk that downloads leave free.
MIN_FREE_DISK = 200 * _MB


def limit_for_segment(size: tuple[int, int], frames: int) -> int:
    """The most bytes that all files of a segment may have together, see `SEGMENT_BASE`.

    Args:
        size: width and height in pixels, as the story has them.
        frames: how many it has.
    """
    width, height = size
    return min(MAX_SEGMENT, SEGMENT_BASE + 3 * width * height * max(1, frames) * SEGMENT_FACTOR)


def limit_for_picture(size: tuple[int, int]) -> int:
    """The most pixels that a picture of a segment may have, see `PICTURE_FACTOR`."""
    return max(PICTURE_BASE, PICTURE_FACTOR * size[0] * size[1])


def limit_for_file(bytes_: int) -> Limit:
    """The limit of a file that is streamed to the disk."""
    return Limit(bytes_, FILE_SECONDS, FILE_RATE)
