"""Where a running service is and with which key it is asked: options that several commands share."""

from typing import Annotated
from urllib.parse import urlsplit

import typer

from equipoise_service.cli.failures import Failure

DEFAULT_URL = "http://127.0.0.1:8400"
Url = Annotated[str, typer.Option(envvar="EQUIPOISE_URL", help="Where the service is.")]
Key = Annotated[
    str | None, typer.Option(envvar="EQUIPOISE_KEY", help="An API key; better in the environment.")
]


def checked_url(url: str) -> str:
    """The service's address without a slash at its end.

    Raises:
        Failure: It is none.
    """
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        )
        _ = parts.port  # raises where it is no number of 0 to 65535
    except ValueError:
        usable = False
    if not usable:
        raise Failure(
            f"--url {url}: this is not the address of a service. Write it as http://127.0.0.1:8400."
        )
    return url.rstrip("/")


def checked_key(key: str | None, scope: str) -> str:
    """The key.

    Args:
        key: As it was given.
        scope: The scope that it needs, for the message.

    Raises:
        Failure: There is none, or it was not copied whole.
    """
    if not key:
        raise Failure(
            f"A key with the scope {scope} is needed: give it in EQUIPOISE_KEY or with --key. "
            f"`equipoise key create NAME --scope {scope}` makes one."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Failure("--key: a key is printable ASCII without spaces or line ends; was it copied whole?")
    return key


class NotYet(Failure):
    """What is asked for is being computed."""


def get(url: str, key: str, path: str) -> bytes:
    """What the service answers to a GET.

    Raises:
        NotYet: It is being computed.
        Failure: It cannot be reached, or its answer is not 200; the message holds the service's own words.
    """
    import json

    from equipoise.transport import Transport, TransportError

    transport = Transport(url, key)
    try:
        answer = transport.get(path, {}, _REQUEST_SECONDS)
    except TransportError as error:
        raise Failure(f"The service at {url} cannot be reached: {error}.") from None
    finally:
        transport.close()
    if answer.status == 200:
        return answer.body
    if answer.status == 202:
        raise NotYet(f"{url}: it is not computed yet, but it will be. Ask again in a minute.")
    try:
        said = json.loads(answer.body)["detail"]
    except (ValueError, KeyError, TypeError):
        said = f"answered {answer.status}; is it an Equipoise service?"
    raise Failure(f"{url}: {said}")


# An audit of very many exposures takes minutes.
_REQUEST_SECONDS = 600.0
