"""What a page of HTML holds."""

from html.parser import HTMLParser

EMPTY = {"meta", "img", "br", "circle", "path", "input"}


class Reader(HTMLParser):
    """Keeps what a page holds; fails on tags that do not close."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.rows = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]
