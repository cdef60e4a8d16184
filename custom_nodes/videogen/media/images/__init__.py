"""Still images: reading them, sampling them from videos, resizing them, and writing references."""
