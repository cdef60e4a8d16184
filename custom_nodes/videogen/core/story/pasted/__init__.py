"""What people paste: text out of chats and word processors, other words for keys, stories of other programs."""
