"""Fixtures that several test files share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # torch takes seconds to import, and many tests need none of it
    from pathlib import Path

    from engines.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The embedded networks on the CPU, fetched on first use."""
    from engines.load import embedded_stack
    from engines.runtime import tune_allocator

    tune_allocator()
    return embedded_stack("cpu", engines=False)


@pytest.fixture(scope="session")
def engines_folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every network as ONNX in float32, compared with torch."""
    from export.build import export
    from export.parity import verify

    folder = tmp_path_factory.mktemp("engines")
    made = [engine.network for engine in export(stack, folder)]
    judged = list(verify(stack, folder))
    assert [parity.exported.network for parity in judged] == made
    return folder


@pytest.fixture(scope="session")
def two_faces(stack: Stack) -> tuple[bytes, bytes]:
    """PNG: a person in another light, and that person on the left with a generated face on the right."""
    from io import BytesIO

    import numpy as np
    from PIL import Image
    from skimage import data

    from engines.latent.target import generated_face

    def png(pixels: np.ndarray) -> bytes:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    person = data.astronaut()
    stranger = np.asarray(Image.fromarray(generated_face(stack.generator, 3)).resize((512, 512)))
    darker = (person[:, ::-1] * 0.7).astype(np.uint8)  # and seen in a mirror
    return png(darker), png(np.concatenate([person, stranger], axis=1))
