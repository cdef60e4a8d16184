"""Keys of segments: what determines the frames of a segment, and the keys that earlier releases have written."""
