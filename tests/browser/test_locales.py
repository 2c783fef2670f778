"""The real frontend says what locales/ says, in the language that it is set to."""

import pytest
from browser import frontend
from locale_files import read

LABELS = """type => {
    const node = LiteGraph.createNode(type);
    window.app.graph.add(node);
    const widget = node.widgets.find(widget => widget.name === "spacing");
    return [node.title, node.inputs[0].localized_name, widget.label];
}"""
EXECUTE = "id => window.app.extensionManager.command.execute(id)"


@pytest.fixture(params=["zh", "fr"])
def language(server, request):
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    server.client.post_json("/settings/Comfy.Locale", request.param)
    yield request.param
    server.client.post_json("/settings/Comfy.Locale", "en")


def test_nodes_settings_menu_and_our_own_buttons_speak_the_users_language(page, server, language):
    nodes, words = read(language, "nodeDefs"), read(language, "main")["fewstep"]
    # wide enough for a scale at which the page draws what is inside nodes
    page.set_viewport_size({"width": 1900, "height": 1000})
    frontend.open_template(page, server, "live", waiting_for="FewStepLiveOutput")
    page.get_by_role("button", name=words["Keep"], exact=True).wait_for()
    sigmas = nodes["FewStepSigmas"]
    assert page.evaluate(LABELS, "FewStepSigmas") == [
        sigmas["display_name"],
        sigmas["inputs"]["model"]["name"],
        sigmas["inputs"]["spacing"]["name"],
    ]
    page.evaluate(EXECUTE, "Comfy.ShowSettingsDialog")
    page.get_by_text("FewStep", exact=True).last.click()
    page.get_by_text(read(language, "settings")["FewStep_Live"]["name"], exact=True).wait_for()
    page.keyboard.press("Escape")
    page.locator(".comfy-menu-button-wrapper").click()
    page.locator(".comfy-command-menu").get_by_text("FewStep", exact=True).hover()
    for command in read(language, "commands").values():
        page.get_by_text(command["label"], exact=True).wait_for()
    assert page.trouble == []
