"""Lambda events: which hold an HTTP request, and in a form that Mangum reads without stumbling.

Mangum takes events as AWS documents them. Consoles, tests and other services send them with nulls, missing keys and
broken base64; each of those gets a proper HTTP answer, or one named error where no HTTP caller is there to read it.
"""

import base64
from collections.abc import Mapping
from typing import Any

from handler.errors import UnsupportedEventError, shorten

Event = dict[str, Any]

_SCHEDULED = "Scheduled Event"
"""``detail-type`` of EventBridge's schedule rules (Amazon EventBridge user guide, "Events from AWS services")."""

_MULTI_VALUE_KEYS = ("multiValueHeaders", "multiValueQueryStringParameters")
_MAPPING_KEYS = ("headers", "queryStringParameters", *_MULTI_VALUE_KEYS)
_HOST_HEADERS = frozenset({"host", "x-forwarded-port"})
"""Mangum splits the host at its one colon and reads the port as a number, or fails; nothing here needs them."""

_DEFAULT_STAGE = "$default"
_ROOTS = ("/v1/", "/health", "/openapi.json", "/docs", "/metrics")
"""What every path of this service begins with."""


def is_warm_up(event: object) -> bool:
    """Tell whether ``event`` only keeps the function warm: a schedule's, or ``{"warmup": true}`` and its like."""
    if not isinstance(event, Mapping):
        return False
    scheduled = event.get("source") == "aws.events" or event.get("detail-type") == _SCHEDULED
    return (
        scheduled
        or bool(event.get("warmup") or event.get("warmer"))
        or event.get("source") == "serverless-plugin-warmup"
    )


def is_http(event: object) -> bool:
    """Tell whether ``event`` holds an HTTP request of API Gateway, a function URL or an ALB."""
    if not isinstance(event, Mapping) or not isinstance(event.get("requestContext"), Mapping):
        return False
    return "httpMethod" in event or "elb" in event["requestContext"] or _is_v2(event)


def normalized(event: Mapping[str, Any]) -> Event:
    """Return an HTTP event with every key that Mangum reads present and of the type it expects.

    Raises:
        UnsupportedEventError: The event does not say what method was used.
    """
    result: Event = dict(event)
    context = result["requestContext"] = dict(event["requestContext"])
    _clean_mappings(result)
    if _is_v2(event):
        _normalize_v2(result, context)
    else:
        _normalize_v1(result, context)
    _clean_body(result)
    return result


def _is_v2(event: Mapping[str, Any]) -> bool:
    context = event["requestContext"]
    return event.get("version") == "2.0" and "http" in context and "elb" not in context


def kind(event: object) -> str:
    """Name the kind of an event that is not HTTP, for an error message."""
    if not isinstance(event, Mapping):
        return f"a JSON {type(event).__name__}"
    records = event.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], Mapping):
        source = records[0].get("eventSource") or records[0].get("EventSource") or "unknown"
        return f"records of {shorten(str(source))}"
    if event.get("source") or event.get("detail-type"):
        return f"an event of {shorten(str(event.get('source')))}"
    return f"an object with the keys {shorten(', '.join(map(str, list(event)[:8])))}"


def _text(value: object) -> str:
    """Return ``value`` as text that UTF-8 can hold: JSON may smuggle in lone surrogates."""
    return str(value).encode("utf-8", "replace").decode()


def _clean_mappings(event: Event) -> None:
    """Drop what is not a mapping of strings: null headers are common, null values happen."""
    for key in _MAPPING_KEYS:
        value = event.get(key)
        if not isinstance(value, Mapping):
            # To Mangum the mere presence of multiValueHeaders decides on the form of an ALB's answer.
            event.pop(key, None)
        elif key in _MULTI_VALUE_KEYS:
            lists = {name: values for name, values in value.items() if isinstance(values, list)}
            event[key] = {_text(name): [_text(v) for v in values if v is not None] for name, values in lists.items()}
        else:
            event[key] = {_text(name): _text(v) for name, v in value.items() if v is not None}
    if "multiValueHeaders" not in event:
        event.setdefault("headers", {})
    for headers in (event.get("headers", {}), event.get("multiValueHeaders", {})):
        for name in [name for name in headers if name.lower() in _HOST_HEADERS]:
            del headers[name]


def _normalize_v2(event: Event, context: Event) -> None:
    http = context["http"]
    if not isinstance(http, Mapping) or not isinstance(http.get("method"), str):
        message = "The event has no requestContext.http.method."
        raise UnsupportedEventError(message)
    path = _text(http.get("path") or event.get("rawPath") or "/")
    path = _without_stage(path, context)
    context["http"] = {**http, "path": path, "sourceIp": _text(http.get("sourceIp") or "")}
    event["rawQueryString"] = _text(event.get("rawQueryString") or "")
    cookies = event.get("cookies")
    event["cookies"] = [_text(cookie) for cookie in cookies] if isinstance(cookies, list) else []


def _normalize_v1(event: Event, context: Event) -> None:
    if not isinstance(event.get("httpMethod"), str):
        message = "The event has no httpMethod."
        raise UnsupportedEventError(message)
    event["path"] = _text(event.get("path") or "/")
    if not isinstance(context.get("identity"), Mapping):
        context["identity"] = {}
    if event.get("version") == "1.0":
        # An HTTP API repeats its stage in the path in this format, too; a REST API, which names no version, does not.
        event["path"] = _without_stage(event["path"], context)
    # Mangum knows a REST API's event by its resource, and takes one with a version for an HTTP API's.
    event.pop("version", None)
    if "elb" not in context:
        event.setdefault("resource", event["path"])


def _without_stage(path: str, context: Event) -> str:
    stage = context.get("stage")
    if isinstance(stage, str) and stage != _DEFAULT_STAGE and path.startswith(f"/{stage}/"):
        rest = path.removeprefix(f"/{stage}")
        # A custom domain leaves the stage out, and a stage may be called "v1".
        return rest if rest.startswith(_ROOTS) or not path.startswith(_ROOTS) else path
    return path


def _clean_body(event: Event) -> None:
    """Leave a body that Mangum can decode; what was no base64 or no text then fails as the malformed JSON it is."""
    body = event.get("body")
    event["body"] = body = body if isinstance(body, str) else ""
    event["isBase64Encoded"] = event.get("isBase64Encoded") is True
    if event["isBase64Encoded"]:
        try:
            base64.b64decode(body, validate=True)
        except ValueError:
            event["isBase64Encoded"] = False
    if not event["isBase64Encoded"]:
        event["body"] = body.encode("utf-8", "surrogatepass")
