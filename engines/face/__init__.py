"""Faces in a photo: detection, alignment, crops, recognition."""
