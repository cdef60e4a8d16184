"""Where a subject is in a frame: given masks, segmentation networks, and the colors of the image itself."""
