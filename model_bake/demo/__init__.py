"""The embedded demo models: a phrasebook grammar, the training, the checkpoints and their conversions."""
