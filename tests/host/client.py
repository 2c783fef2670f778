"""A client of a running ComfyUI's HTTP interface; it asks again instead of listening."""

import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from PIL import Image


class PromptError(AssertionError):
    """The server refused a prompt or a node failed; the message is the server's own."""


class Client:
    def __init__(self, url):
        self.url = url

    def get(self, path, **query):
        """The answer's bytes."""
        address = f"{self.url}{path}"
        if query:
            address += "?" + urllib.parse.urlencode(query)
        with urllib.request.urlopen(address, timeout=60) as response:
            return response.read()

    def get_json(self, path, **query):
        return json.loads(self.get(path, **query))

    def post_json(self, path, data):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(data).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None

    def queue(self, prompt):
        """Queue a prompt in API format, {node id: {class_type, inputs}}; return its id."""
        try:
            return self.post_json("/prompt", {"prompt": prompt})["prompt_id"]
        except urllib.error.HTTPError as error:
            raise PromptError(error.read().decode(errors="replace")) from None

    def wait(self, prompt_id, seconds=300):
        """The history entry of a prompt once it has ended well."""
        start = time.monotonic()
        while (waited := time.monotonic() - start) < seconds:
            entry = self.get_json(f"/history/{prompt_id}").get(prompt_id)
            status = entry and entry.get("status")
            if status and status["status_str"] == "error":
                raise PromptError(json.dumps(status["messages"][-1], indent=1))
            if status and status["completed"]:
                return entry
            # a short run is not waited for longer than it takes, nor a long one asked after often
            time.sleep(min(0.01 + waited / 10, 0.1))
        raise PromptError(f"Prompt {prompt_id} has not ended within {seconds} s.")

    def run(self, prompt, seconds=300):
        """Run a prompt to its end; return {node id: its outputs as the interface shows them}."""
        return self.wait(self.queue(prompt), seconds)["outputs"]

    def images(self, output):
        """The pictures of one node's output, as PIL images."""
        return [Image.open(io.BytesIO(self.get("/view", **image))) for image in output["images"]]
