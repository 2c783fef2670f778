"""The demo workflow as a user meets it: opened in the real frontend, run, and looked at."""

from browser import frontend

NAME = "fewstep_demo"
TEN_MINUTES = 600_000  # milliseconds; the teacher's 100 passes on a busy CPU
BOTH_RUNS = 8  # pictures: two batches of four
SHOWN = """() => window.app.graph.nodes
    .filter(node => node.type === "PreviewImage")
    .map(node => (node.imgs ?? []).filter(image => image.naturalWidth === 128).length)"""
BROKEN = """() => window.app.graph.nodes
    .filter(node => node.has_errors || !LiteGraph.registered_node_types[node.type])
    .map(node => node.type)"""


def test_the_template_opens_from_the_templates_dialog(page, server):
    # on a first visit the dialog opens by itself, sooner or later
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    frontend.open_frontend(page, server)
    frontend.pick_template(page, NAME, waiting_for="FewStepDemoModel")
    assert page.evaluate(BROKEN) == []
    assert page.trouble == []


def test_the_template_runs_and_both_sides_show_their_pictures(page, server):
    frontend.open_template(page, server, NAME, waiting_for="FewStepDemoModel")
    assert page.evaluate(BROKEN) == []
    frontend.press_run(page)
    frontend.wait_for_pictures(page, BOTH_RUNS, TEN_MINUTES)
    assert page.evaluate(SHOWN) == [4, 4]
    assert page.trouble == []
