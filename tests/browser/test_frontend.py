"""The real frontend with the pack installed."""

from browser import frontend


def test_frontend_opens_without_an_error_from_our_scripts(page, server):
    frontend.open_frontend(page, server)
    page.wait_for_load_state("networkidle")
    assert page.trouble == []


def test_frontend_offers_the_packs_nodes(page, server):
    frontend.open_frontend(page, server)
    known = page.evaluate("() => Object.keys(LiteGraph.registered_node_types)")
    info = server.client.get_json("/object_info")
    ours = [name for name, node in info.items() if node["python_module"] == "custom_nodes.fewstep"]
    assert ours
    assert set(ours) <= set(known)


def test_run_button_runs_a_graph_and_its_picture_appears(page, server):
    frontend.open_frontend(page, server)
    page.evaluate(
        """() => {
            window.app.graph.clear();
            const [source, preview] = ["EmptyImage", "PreviewImage"].map(type => {
                const node = LiteGraph.createNode(type);
                window.app.graph.add(node);
                return node;
            });
            source.connect(0, preview, 0);
        }"""
    )
    frontend.press_run(page)
    assert "/view?" in frontend.wait_for_pictures(page)[0]


def test_a_command_in_the_menu_opens_the_page_of_blind_comparisons(page, server):
    frontend.open_frontend(page, server)
    with page.expect_popup() as opened:
        page.evaluate(
            "() => window.app.extensionManager.command.execute('FewStep.ComparePictures')"
        )
    opened.value.get_by_role("heading", name="Blind comparison").wait_for()
    assert "/fewstep/pairs" in opened.value.url
    assert page.trouble == []
