"""Random weights in true architectures, under the names that published files use: real loaders take them for real models.

`layout` says how a tensor is drawn, `unets`, `autoencoders`, `clips` and `adapters` say which tensors a model has, `files`
writes whole checkpoints, once a machine. Nothing of it is in the repository: it is drawn the same everywhere.
"""
