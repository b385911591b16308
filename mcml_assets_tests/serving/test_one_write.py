"""Promise of the model server's transport: an answer leaves whole or not at all."""

import asyncio

import uvicorn

from mcml_assets.serving.guard import Receive, Scope, Send
from mcml_assets.serving.one_write import OneWriteProtocol
from mcml_assets_tests.ports import free_ports


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"body"})


async def _first_pieces() -> list[bytes]:
    """What arrives first of each of twenty answers, on one connection."""
    (port,) = free_ports(1)
    config = uvicorn.Config(_app, host="127.0.0.1", port=port, http=OneWriteProtocol, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pieces = []
    for _ in range(20):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        pieces.append(await reader.read(65536))
    writer.close()
    server.should_exit = True
    await serving
    return pieces


def test_head_and_body_arrive_in_one_piece() -> None:
    """No moment exists at which a killed server has sent the head of an answer and not its body."""
    pieces = asyncio.run(_first_pieces())
    assert [piece.endswith(b"\r\n\r\nbody") for piece in pieces] == [True] * 20
