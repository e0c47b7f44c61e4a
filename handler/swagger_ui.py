"""Swagger UI: the page, and the two files of it that a browser needs.

The files are in the package fastapi-swagger as its authors published them. The package itself is looked up and never
imported, and nothing is read before somebody asks: no cold start knows of it.
"""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

_PACKAGE, _FOLDER = "fastapi_swagger", "resources"
_HTML, _CSS, _JAVASCRIPT = "text/html", "text/css", "text/javascript"

# Addresses are relative to the page's own, so that it works behind the stage of an API, whose name no app learns.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ctranslate2-server</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js" defer></script>
<script src="docs/start.js" defer></script>
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the document it shows is <a href="openapi.json">openapi.json</a>.</noscript>
</body>
</html>
"""
# A file of its own: the policy below lets no script run that stands in the page.
_START = """window.ui = SwaggerUIBundle({
  url: new URL("openapi.json", location.href).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nobody but this server is asked, whatever a later Swagger UI may want to; it sets styles inline."""

_TEXTS = {"": (_PAGE, _HTML), "start.js": (_START, _JAVASCRIPT)}
_FILES = {"swagger-ui.css": _CSS, "swagger-ui-bundle.js": _JAVASCRIPT}
NAMES = frozenset({*_TEXTS, *_FILES})
"""What there is; the empty name is the page's."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, and what a server says of it."""

    body: bytes
    media_type: str
    gzipped: bytes
    """The body in a quarter of its bytes. A load balancer takes 1 MB from a function, and Swagger UI is larger."""
    etag: str


@cache
def asset(name: str) -> Asset:
    """Return the file of one of the ``NAMES``; it takes its time, once.

    Raises:
        ModuleNotFoundError: The package with the files is not installed.
    """
    if name in _TEXTS:
        text, media_type = _TEXTS[name]
        body = text.encode()
    else:
        spec = find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name=_PACKAGE)
        body, media_type = (Path(spec.origin).parent / _FOLDER / name).read_bytes(), _FILES[name]
    return Asset(body, media_type, gzip.compress(body, mtime=0), sha256(body).hexdigest()[:32])
