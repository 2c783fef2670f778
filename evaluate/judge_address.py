"""A model behind an OpenAI-compatible address, asked for one answer at a time.

Chat completions: platform.openai.com/docs/api-reference/chat; vLLM, llama.cpp, Ollama and others
answer them too. Nothing is sent but by `ask`, and only to the address itself.
"""

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

PATH = "/chat/completions"
# statuses of a server that asks to come again: RFC 6585 section 4, RFC 9110 section 15.6.4
BUSY = (429, 503)
RETRIES = 3
# seconds
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
LONGEST_TIMEOUT = 86_400.0
# of a reply
MOST_BYTES = 2**20
# characters of what a server says
MOST_QUOTED = 200
# by status, or else by its hundred
REMEDIES = {
    300: "Redirects are not followed, so that key and pictures go nowhere else; give the address "
    "that it leads to, if you trust that.",
    400: "See that the model may be asked about pictures; where it takes no temperature, set none.",
    401: "See that the key is right.",
    403: "See that the key is right, and may use the model.",
    404: "See that the address, which often ends in /v1, and the model's name are right.",
    413: "Give smaller pictures, or let the server take more.",
    429: "It has been asked too much, or has no credit left; begin again later.",
    500: "The server has a fault, or too much to do; see its log, and begin again later.",
}


@dataclass(frozen=True)
class Judge:
    """Who is asked.

    Attributes:
        address: "http://127.0.0.1:8000/v1", also with /chat/completions.
        model: as its server calls it.
        key: sent to the address as `Authorization: Bearer`, and told nowhere else.
        timeout: seconds without a byte of the server after which it is given up.
        temperature: 0 to 2; None leaves it to the server, since some models take their own alone.

    Raises:
        ValueError: the address is none of http or https, or holds a user, a password, a query or a
            fragment; the model has no name; the key could be no header; a number is out of range.
    """

    address: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    temperature: float | None = 0.0

    def __post_init__(self):
        _check_address(self.address)
        if not (isinstance(self.model, str) and self.model.strip()):
            raise ValueError(f"model is {self.model!r}; give the name that its server has for it.")
        if self.key is not None and not _is_plain(self.key):
            raise ValueError("key has characters other than ASCII's without blanks; copy it anew.")
        if not 0.0 < self.timeout <= LONGEST_TIMEOUT:
            raise ValueError(
                f"timeout is {self.timeout}; allowed are more than 0 and up to "
                f"{LONGEST_TIMEOUT:.0f} seconds."
            )
        if self.temperature is not None and not 0.0 <= self.temperature <= 2.0:
            raise ValueError(f"temperature is {self.temperature}; allowed are 0 to 2, or none.")

    @property
    def endpoint(self) -> str:
        """Where questions are sent."""
        return self.address.rstrip("/").removesuffix(PATH) + PATH


def ask(judge: Judge, content: list[dict], *, sleep: Callable[[float], object] = time.sleep) -> str:
    """What a model answers to one message.

    A busy server is asked again, up to three times, after the time that it names.

    Args:
        content: parts of text and pictures, as of chat completions.
        sleep: waits for seconds, 60 at most.

    Returns:
        the answer, which may be empty.

    Raises:
        OSError: the server cannot be reached, answers too late, with a redirect or with an error.
        ValueError: its reply has more than 1 MiB, or is no chat completion.
    """
    request = _request(judge, content)
    for tries in range(RETRIES + 1):
        status, headers, body = _exchange(judge, request)
        wait = _wait(headers, tries)
        if status not in BUSY or tries == RETRIES or wait > LONGEST_WAIT:
            break
        sleep(wait)
    if status != 200:
        told = headers.get("Location", "") if status // 100 == 3 else body
        remedy = REMEDIES.get(status) or REMEDIES.get(status // 100 * 100, REMEDIES[500])
        raise OSError(f"{judge.endpoint} answered {status}: {quoted(judge, told)}. {remedy}")
    return _answer(judge, body)


def quoted(judge: Judge, told: str | bytes) -> str:
    """What a server said, for an error: 200 characters at most, and not the key."""
    text = told.decode(errors="replace") if isinstance(told, bytes) else told
    if judge.key is not None:
        text = text.replace(judge.key, "[key]")
    return repr(" ".join(text.split())[:MOST_QUOTED])


def _check_address(address):
    is_text = isinstance(address, str)
    # not told, since such an address holds a secret
    if is_text and any(sign in address for sign in "@?#"):
        raise ValueError(
            "address has one of the signs @, ? and #; give it without user, password or query, and "
            "a key as key."
        )
    if not (is_text and _is_plain(address) and _has_host(address)):
        raise ValueError(
            f"address is {address!r}; give that of an OpenAI-compatible server, such as "
            "http://127.0.0.1:8000/v1."
        )


def _is_plain(text):
    is_ascii = isinstance(text, str) and text != "" and text.isascii()
    return is_ascii and text.isprintable() and " " not in text


def _has_host(address):
    try:
        parts = urlsplit(address)
        # a port that is none raises only when it is looked at
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _request(judge, content):
    body = {"model": judge.model, "messages": [{"role": "user", "content": content}]}
    # no bound on the answer: max_tokens is refused by some models, max_completion_tokens by others
    if judge.temperature is not None:
        body["temperature"] = judge.temperature
    # Cloudflare, before many such servers, refuses the name that urllib gives itself
    headers = {"Content-Type": "application/json", "User-Agent": "FewStep"}
    if judge.key is not None:
        headers["Authorization"] = f"Bearer {judge.key}"
    return urllib.request.Request(judge.endpoint, json.dumps(body).encode(), headers)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def _exchange(judge, request):
    """Status, headers and body of a reply, of which no more is read than can be one."""
    handlers = [_NoRedirects()]
    # a proxy sees another machine in this address
    if _is_this_machine(urlsplit(judge.endpoint).hostname):
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    try:
        try:
            response = opener.open(request, timeout=judge.timeout)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return response.status, response.headers, response.read(MOST_BYTES + 1)
    # a host that can be no name is a UnicodeError
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = getattr(error, "reason", None) or error
        raise OSError(
            f"{judge.endpoint} gave no reply: {reason}. See that the server runs and has loaded "
            f"the model, and that it can answer within {judge.timeout:g} seconds."
        ) from error


def _is_this_machine(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wait(headers, tries):
    """Seconds, as of RFC 9110, section 10.2.3: a number or a date."""
    told = headers.get("Retry-After", "")
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return FIRST_WAIT * 2**tries


def _answer(judge, body):
    if len(body) > MOST_BYTES:
        raise ValueError(
            f"{judge.endpoint} replied with more than {MOST_BYTES} bytes, which is no answer of "
            "one word. See that the address is right."
        )
    try:
        message = json.loads(body)["choices"][0]["message"]
        content = message["content"] or message.get("refusal") or ""
        # some servers tell parts, of which others than text are thoughts
        if isinstance(content, list):
            content = "".join(part["text"] for part in content if part["type"] == "text")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _no_completion(judge, body) from error
    if not isinstance(content, str):
        raise _no_completion(judge, body)
    return content


def _no_completion(judge, body):
    return ValueError(
        f"{judge.endpoint} replied with no chat completion: {quoted(judge, body)}. See that the "
        "address is that of an OpenAI-compatible server."
    )
