"""The example workflow `live` in a real browser, as the benchmark of Live drives and watches it."""

import statistics
import time
from urllib.parse import urlencode

from browser.frontend import LISTEN

FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]
FLAGS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
HAS_NODE = "() => window.app?.graph?.nodes?.some(node => node.type === 'FewStepLiveOutput')"
# everything with the page's own clock; a picture is on the screen when it is decoded and drawn
WATCH = """() => {
    const seen = window.seen = { asked: [], began: {}, ended: {}, pictures: [], key: 0 };
    const note = (name, into) => fromServer.addEventListener(name, ({ detail }) => {
        into[detail.prompt_id] = performance.now();
    });
    note("execution_start", seen.began);
    note("execution_success", seen.ended);
    let running = null;
    fromServer.addEventListener("execution_start", ({ detail }) => running = detail.prompt_id);
    const image = document.querySelector("img[alt='the latest picture']");
    new MutationObserver(async () => {
        const run = running;
        await image.decode().catch(() => {});
        requestAnimationFrame(() => seen.pictures.push([run, performance.now()]));
    }).observe(image, { attributeFilter: ["src"] });
    addEventListener("keydown", () => seen.key = performance.now(), { capture: true });
}"""
AUTO = """mode => {
    const { ui } = window.app;
    [ui.autoQueueMode, ui.autoQueueEnabled] = [mode, mode !== "disabled"];
}"""
# another seed with each run, as otherwise nothing would run
RANDOMIZE = """() => {
    const { widgets } = window.app.graph.getNodeById(8);
    widgets.find(widget => widget.name === "control_after_generate").value = "randomize";
}"""
FINISHED = "() => Object.keys(seen.ended).length"
HEAP = "HeapProfiler.collectGarbage"


class LivePage:
    """One page with the graph open; use it in a with statement."""

    def __init__(self, browser, url, client, is_vue):
        client.post_json("/settings/Comfy.TutorialCompleted", True)
        client.post_json("/settings/Comfy.VueNodes.Enabled", is_vue)
        self.client = client
        self.context = browser.new_context(viewport={"width": 1900, "height": 1000})
        self.page = self.context.new_page()
        self.asked = []  # [text, request]
        self.page.on("request", self._note)
        self.page.add_init_script(LISTEN)
        query = urlencode({"template": "live", "source": "fewstep"})
        self.page.goto(f"{url}/?{query}", wait_until="domcontentloaded")
        self.page.wait_for_function(HAS_NODE, timeout=120_000)
        self.button("Live").wait_for(timeout=60_000)
        self.page.wait_for_timeout(1000)
        self.page.evaluate(WATCH)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def button(self, name):
        return self.page.get_by_role("button", name=name, exact=True)

    def graph(self):
        """What the server is asked for, in API format."""
        return self.page.evaluate("async () => (await window.app.graphToPrompt()).output")

    def switch_live_on(self):
        self.button("Live").click()
        self.wait_for_picture()

    def wait_for_picture(self):
        self.page.wait_for_function("() => window.seen.pictures.length", timeout=120_000)
        self.wait_until_idle()

    def switch_auto(self, mode):
        """Core's own: "change" is Run (On Change), "instant" Run (Instant), "disabled" Run."""
        self.page.evaluate(AUTO, mode)

    def type(self, text, speed):
        """Type into the prompt, so many letters a second; what came of it, by the page's clock."""
        field = self.page.locator("textarea:visible").filter(visible=True).nth(self._prompt())
        field.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.press("Delete")
        self.page.wait_for_timeout(1000)
        self.wait_until_idle()
        self.asked.clear()
        self.page.evaluate("() => { seen.pictures.length = 0; }")
        start = due = time.monotonic()
        for letter in text:
            time.sleep(max(0, due - time.monotonic()))
            # on a slow page, letters come more slowly, not in a burst
            due = max(due, time.monotonic()) + 1 / speed
            self.page.keyboard.type(letter)
        typed = len(text) / (time.monotonic() - start)
        self.page.wait_for_timeout(1500)
        self.wait_until_idle()
        self.page.wait_for_timeout(500)
        return self._found(text) | {"speed": typed}

    def _prompt(self):
        texts = self.page.locator("textarea:visible").evaluate_all("all => all.map(e => e.value)")
        # the note is the first, and the negative prompt is empty
        return next(place for place, text in enumerate(texts) if text and place)

    def _found(self, text):
        runs = {}
        for typed, request in self.asked:
            runs[request.response().json()["prompt_id"]] = typed
        seen = self.page.evaluate("() => window.seen")
        took = [seen["ended"][run] - seen["began"][run] for run in runs if run in seen["ended"]]
        pictures = [(runs[run], at) for run, at in seen["pictures"] if run in runs]
        lengths = [len(typed) for typed, _ in pictures]
        last = [at for typed, at in pictures if typed == text]
        return {
            "started": len(runs),
            "finished": len(took),
            "run": statistics.median(took) if took else float("nan"),
            "older after newer": sum(b < a for a, b in zip(lengths, lengths[1:], strict=False)),
            "last": last[0] - seen["key"] if last else float("nan"),
        }

    def drag(self, seconds):
        """Move a slider of cfg to and fro; pictures a second."""
        self.grab()
        found = self.move(seconds)
        self.release()
        return found

    def run_instantly(self, seconds):
        """Core's Run (Instant), with nobody editing; runs a second."""
        self.page.evaluate(RANDOMIZE)
        self.switch_auto("instant")
        self.page.evaluate("() => window.app.queuePrompt(0, 1)")
        # the first one loads the model
        self.page.wait_for_function(f"() => ({FINISHED})() > 2", timeout=120_000)
        before, start = self.page.evaluate(FINISHED), time.monotonic()
        self.page.wait_for_timeout(1000 * seconds)
        found = (self.page.evaluate(FINISHED) - before) / (time.monotonic() - start)
        self.switch_auto("disabled")
        self.wait_until_idle()
        return found

    def grab(self):
        """Press the pointer down on a slider of cfg, made where there is none."""
        name = "cfg · SamplerCustom"
        slider = self.page.get_by_role("slider", name=name)
        if not slider.count():
            self.page.get_by_label("A number that leads here").select_option(name)
            self.button("Add slider").click()
        self.box = slider.bounding_box()
        self._point(0.5)
        self.page.mouse.down()

    def move(self, seconds):
        """Move the slider that is held to and fro; pictures a second."""
        before = self._pictures()
        start, turn = time.monotonic(), 0
        while (passed := time.monotonic() - start) < seconds:
            turn += 1
            self._point(abs(turn % 120 / 60 - 1))
            time.sleep(0.016)
        return (self._pictures() - before) / passed

    def release(self):
        self.page.mouse.up()
        self.wait_until_idle()

    def _point(self, share):
        left, width = self.box["x"] + 8, self.box["width"] - 16
        self.page.mouse.move(left + share * width, self.box["y"] + self.box["height"] / 2)

    def _pictures(self):
        return self.page.evaluate("() => seen.pictures.length")

    def heap(self):
        """Bytes that JavaScript holds, garbage collected."""
        session = self.context.new_cdp_session(self.page)
        session.send(HEAP)
        used = session.send("Runtime.getHeapUsage")["usedSize"]
        session.detach()
        return used

    def wait_until_idle(self):
        while True:
            queue = self.client.get_json("/queue")
            if not queue["queue_running"] and not queue["queue_pending"]:
                return
            time.sleep(0.05)

    def _note(self, request):
        if request.method == "POST" and request.url.endswith("/prompt"):
            nodes = request.post_data_json["prompt"]
            self.asked.append((nodes["5"]["inputs"]["text"], request))
