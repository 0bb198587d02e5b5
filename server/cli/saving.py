"""One photo protected, and its files written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.config import Settings
from engines.files import write_atomic
from server.cli.console import Bar
from server.cli.plan import Job, check_writable
from server.cli.session import Session

if TYPE_CHECKING:
    from engines.photo.decode import Photo
    from engines.pipeline import Protected


def protect_one(job: Job, photo: Photo, settings: Settings, session: Session) -> Protected:
    """Protect a decoded photo and write the result and its comparison, each whole or not at all.

    Raises:
        OutputError: before the search, if the result cannot be written.
        NoFaceError, ConfigError, ModelError: as `engines.pipeline.protect`.
    """
    for path in filter(None, (job.output, job.comparison)):
        check_writable(path, 2 * photo.source_bytes)
    stack = session.stack
    from engines.pipeline import protect
    from server.common.enrolled import enrolled_owner

    owner = enrolled_owner() if settings.faces == "mine" else None
    with Bar(job.source.name) as bar:
        protected = protect(photo, stack, settings, bar.searching, owner)
    session.announce()
    write_atomic(job.output, protected.data)
    if job.comparison is not None:
        from server.common.compare import comparison

        write_atomic(job.comparison, comparison(protected))
    return protected
