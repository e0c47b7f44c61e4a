"""The bake: from a checkpoint to the small, verified folder that the server loads."""
