"""Figures for Prometheus: jobs done, their seconds, waiting jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from server.common.log import note
from server.service.work.jobs import Job

_SECONDS = (1, 2, 5, 10, 20, 40, 80, 160, 320)


class Figures:
    """Counted for one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._jobs = Counter(
            "clip2protect_jobs", "Jobs that ended", ["state", "code"], registry=self._registry
        )
        self._seconds = Histogram(
            "clip2protect_job_seconds",
            "From the sending of a photo to its end",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "clip2protect_requests",
            "Requests that were answered",
            ["route", "status"],
            registry=self._registry,
        )
        self._gauges = {
            name: Gauge(f"clip2protect_{name}", text, registry=self._registry)
            for name, text in (
                ("waiting_jobs", "Jobs in the queue"),
                ("busy_workers", "Workers that have a job"),
                ("worker_restarts", "Times that a worker was started again"),
                ("clients", "Clients that are paired"),
            )
        }

    @web.middleware
    async def count(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Count a request by its route, which holds no id, and the answer's status."""
        begun = time.monotonic()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = "none" if resource is None else resource.canonical
        self._requests.labels(route, str(response.status)).inc()
        seconds = round(time.monotonic() - begun, 4)
        note(
            "request",
            logging.DEBUG,
            method=request.method,
            route=route,
            status=response.status,
            seconds=seconds,
        )
        return response

    def ended(self, job: Job) -> None:
        """Count a job."""
        self._jobs.labels(job.state, job.code).inc()
        self._seconds.observe((job.ended or job.created) - job.created)

    def text(self, **now: float) -> str:
        """All of them; `now` has a value for each of what goes up and down."""
        for name, gauge in self._gauges.items():
            gauge.set(now[name])
        return generate_latest(self._registry).decode()
