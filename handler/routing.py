"""Routes that FastAPI describes and that are called without it."""

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class PlainRoute(APIRoute):
    """Calls its endpoint with the request and what its path names, and sends the response that it returns.

    FastAPI has nothing to resolve for such an endpoint, and takes 0.1 ms of each request to find that out.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        """Describe ``endpoint``.

        Raises:
            TypeError: It leaves to FastAPI what is not done here.
        """
        super().__init__(path, endpoint, **options)
        given = self.dependant
        if given.dependencies or given.query_params or given.header_params or given.cookie_params or given.body_params:
            message = f"{endpoint.__name__} asks for more than the request and what its path names"
            raise TypeError(message)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what the endpoint raises is for the layers around."""
        if self.methods and scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive, send)
        response = await self.endpoint(request, **request.path_params)
        await response(scope, receive, send)
