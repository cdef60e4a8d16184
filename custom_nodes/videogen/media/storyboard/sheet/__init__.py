"""The surroundings of the image on a storyboard frame: layout, text, chips, icons, timeline."""
