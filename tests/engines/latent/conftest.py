"""A scene of one face."""

from __future__ import annotations

import pytest
from torch import Tensor

from engines.face.crop import AlignedFace
from engines.latent.scene import LatentCode, Scene
from engines.networks.mobilestylegan import Generator
from tests.support.scenes import scene_of


@pytest.fixture(scope="session")
def scene(generator: Generator, aligned: AlignedFace, pivot: Tensor) -> Scene:
    return scene_of([aligned], generator, LatentCode.at(pivot, generator))
