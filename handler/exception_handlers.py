"""Every failure as OpenAI's error object: one shape for each status, on every way in."""

from typing import Any, TypeGuard

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from handler.errors import HandlerError, InvalidRequestError, MethodNotAllowedError, RouteNotFoundError
from handler.telemetry import logger, request_record

_NOT_FOUND, _METHOD_NOT_ALLOWED, _INTERNAL = 404, 405, 500


def error_body(message: str, *, type: str, param: str | None, code: str | None) -> dict[str, Any]:  # noqa: A002 - OpenAI's name
    """Return the envelope; all four keys are always there."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def error_object(error: Exception, *, request_id: str) -> dict[str, Any]:
    """Return the envelope for ``error``, and log what is the server's own fault.

    Of an internal error the client learns the id under which the log has it, and nothing else.
    """
    if _is_told(error):
        return error_body(error.message, type=error.type, param=error.param, code=error.code)
    logger.error("internal error", exc_info=error)
    message = f"Internal error; the server's log has it under the id {request_id}."
    return error_body(message, type="server_error", param=None, code=None)


def error_response(error: Exception, *, request_id: str) -> Response:
    """Return the answer for ``error``: its status, its headers and the envelope."""
    body = error_object(error, request_id=request_id)
    if _is_told(error):
        return JSONResponse(body, status_code=error.status_code, headers=error.headers)
    return JSONResponse(body, status_code=_INTERNAL)


def _is_told(error: Exception) -> TypeGuard[HandlerError]:
    return isinstance(error, HandlerError) and error.status_code != _INTERNAL


def add_exception_handlers(app: FastAPI) -> None:
    """Let ``app`` answer the service's errors and Starlette's own in the envelope."""

    # Starlette calls a synchronous handler in a thread; these have nothing to wait for.
    async def handle(request: Request, error: Exception) -> Response:
        return error_response(error, request_id=request_record(request.scope).request_id)

    async def handle_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - the type it is registered for
        return await handle(request, _translated(request, error))

    app.add_exception_handler(HandlerError, handle)
    app.add_exception_handler(HTTPException, handle_http)


def _translated(request: Request, error: HTTPException) -> HandlerError:
    if error.status_code == _NOT_FOUND:
        return RouteNotFoundError(request.method, request.url.path)
    if error.status_code == _METHOD_NOT_ALLOWED:
        return MethodNotAllowedError(request.method, allow=(error.headers or {}).get("Allow", ""))
    return InvalidRequestError(str(error.detail))
