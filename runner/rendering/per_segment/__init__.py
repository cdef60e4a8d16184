"""What single segments are rendered with: workflows of their own, and LoRAs put into a graph."""
