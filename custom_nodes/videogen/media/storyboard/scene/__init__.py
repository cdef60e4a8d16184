"""The image on a storyboard frame: figures, props, scenery, viewfinder."""
