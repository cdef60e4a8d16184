"""Still images: reading, sampling out of videos, shrinking, writing references."""
