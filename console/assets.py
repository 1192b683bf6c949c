"""The static files: read once, served under addresses that change with their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Assets:
    """All files with one version: modules import each other by relative addresses, so they change together."""

    files: dict[str, tuple[bytes, str]]
    version: str

    def address(self, name: str) -> str:
        """Give the address of a file; raises KeyError when there is none."""
        _ = self.files[name]
        return f"/static/{self.version}/{name}"


def read_assets(folder: Path = FOLDER) -> Assets:
    """Read every file of a known type."""
    files = {
        path.name: (path.read_bytes(), MEDIA_TYPES[path.suffix])
        for path in sorted(folder.iterdir())
        if path.suffix in MEDIA_TYPES
    }
    digest = hashlib.sha256()
    for name, (content, _) in files.items():
        digest.update(name.encode() + b"\0" + content + b"\0")
    return Assets(files, digest.hexdigest()[:12])


@router.get("/static/{version}/{name}", name="console:static")
def static_file(version: str, name: str, request: Request) -> Response:
    """Serve a file; another version than ours is served too, but not kept: a page of an older process asks for it."""
    assets: Assets = request.app.state.console.assets
    found = assets.files.get(name)
    if found is None:
        raise HTTPException(404)
    content, media_type = found
    caching = FOR_EVER if version == assets.version else "no-store"
    return Response(content, headers={"Cache-Control": caching, "Content-Type": media_type})
