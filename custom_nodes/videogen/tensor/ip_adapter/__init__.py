"""IP-Adapter after Ye et al. 2023 (arXiv 2308.06721): files, image projection, decoupled cross-attention, masks."""
