"""What a run tells the window that asks for it."""

import asyncio
import json

import aiohttp


def messages(server, prompt, kind):
    """The prompt_id of a run, and the data of every message of that type until it has succeeded."""
    return asyncio.run(asyncio.wait_for(_messages(server, prompt, kind), timeout=120))


async def _messages(server, prompt, kind):
    found = []
    async with aiohttp.ClientSession() as session:
        address = f"{server.url}/ws?clientId=messages".replace("http", "ws", 1)
        async with session.ws_connect(address, max_msg_size=0) as socket:
            asked = {"prompt": prompt, "client_id": "messages"}
            answer = await asyncio.to_thread(server.client.post_json, "/prompt", asked)
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                event = json.loads(message.data)
                if event["type"] == kind:
                    found.append(event["data"])
                if event["type"] == "execution_success":
                    return answer["prompt_id"], found
