"""The doors for files that others have written: pictures, videos and sound. Whatever is in them is a verdict on the file."""
