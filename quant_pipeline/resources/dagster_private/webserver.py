"""Dagster's webserver, with a script of ours in its pages: a program, which takes what `dagster-webserver` takes.

Its pages come as they are, and do by themselves what everybody does in them next (webserver.js says what). It is what `ui`
starts; under `dg dev`, or Dagster's own webserver, the pages are Dagster's alone, and nothing is lost but that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster_webserver import app, cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import BaseRoute, Route

from quant_pipeline.market.dataset import Partition
from quant_pipeline.partitions import PARTITIONS
from quant_pipeline.resources.dagster_private.unchosen import kind_of, kind_of_job, latest

_OURS: Final = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""Changed pages of Dagster's: it does nothing on them (test_ui.py)."""
_NONCE = re.compile(rb'nonce="(\w+)"')
_END_OF_HEAD = b"</head>"


class _Webserver(DagsterWebserver[WorkspaceProcessContext, WorkspaceRequestContext]):
    """Changed names in dagster_webserver: `ui` has no pages of Dagster's, or has them without our script (test_ui_place.py)."""

    def build_routes(self) -> list[BaseRoute]:
        theirs: list[BaseRoute] = super().build_routes()  # type: ignore[no-untyped-call]
        return [Route("/quant_pipeline/latest", self.latest), *theirs]  # their last one takes every path

    def index_html_endpoint(self, request: Request) -> HTMLResponse:
        page: HTMLResponse = super().index_html_endpoint(request)
        body = bytes(page.body)
        nonce = _NONCE.search(body)  # without the page's own the browser runs no script
        if nonce is None:
            return page
        script = b'<script nonce="' + nonce[1] + b'">' + _OURS.encode() + b"</script>"
        headers = {name: value for name, value in page.headers.items() if name != "content-length"}
        return HTMLResponse(body.replace(_END_OF_HEAD, script + _END_OF_HEAD, 1), headers=headers)

    def latest(self, request: Request) -> JSONResponse:
        """`?job=NAME` or `?asset=NAME` -> a list with the key of its `latest` partition; empty where it has none. Of what is no
        asset (a dialog for several): the keys of each kind."""
        return JSONResponse([latest(kind) for kind in self._kinds(request)])

    def _kinds(self, request: Request) -> list[Partition]:
        job, asset = (request.query_params.get(name) for name in ("job", "asset"))
        with self.request_context(request) as context:
            if job is not None:
                every = (each for location in context.code_locations for each in location.get_repositories().values())
                return [kind for each in every if (kind := kind_of_job(each, job)) is not None]
            key = dg.AssetKey(asset or "-")
            if context.asset_graph.has(key):
                kind = kind_of(context.asset_graph.get(key).partitions_def)
                return [] if kind is None else [kind]
        return [kind for kind, ours in PARTITIONS.items() if ours is not None]


if __name__ == "__main__":
    app.DagsterWebserver = _Webserver  # type: ignore[attr-defined, assignment]
    cli.main()  # type: ignore[no-untyped-call]
