"""Do two photos show one person, in the eyes of every recogniser?"""

from __future__ import annotations

from engines.errors import NoFaceError
from engines.face.detect import detect
from engines.face.recognise import Comparison, compare_embeddings, embed_face
from engines.photo.decode import Photo
from engines.stack import Stack


def compare(stack: Stack, a: Photo, b: Photo) -> list[Comparison]:
    """Every recogniser's verdict on the largest faces of two photos.

    Raises NoFaceError, which says which of the two shows no face.
    """
    embeddings = []
    for photo, name in ((a, "first"), (b, "second")):
        faces = detect(stack.detector, photo.pixels)
        if not faces:
            raise NoFaceError(f"the {name} photo shows no face that can be found")
        embeddings.append([embed_face(r, photo.pixels, faces[0]) for r in stack.recognisers.values()])
    return [compare_embeddings(*pair) for pair in zip(stack.recognisers.values(), *embeddings, strict=True)]
