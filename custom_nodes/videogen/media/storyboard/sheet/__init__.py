"""What surrounds the image on a storyboard frame: panels, words, timeline, icons."""
