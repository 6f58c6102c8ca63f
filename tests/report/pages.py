"""Reading a page back."""

import base64
import io
import re
from html.parser import HTMLParser

import pandas as pd

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Tags, their attributes and the text of a page; refuses tags that do not close in order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def said(self):
        return re.sub(r"\s+", " ", " ".join(self.text))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def downloads(self):
        links = [link for link in self.all("a") if "download" in link]
        return {link["download"]: decoded(link["href"]) for link in links}

    def csv(self, name):
        return pd.read_csv(
            io.BytesIO(self.downloads[name]), keep_default_na=False, na_values=[""], float_precision="round_trip"
        )


def decoded(url):
    head, _, data = url.partition(",")
    assert head.endswith(";base64")
    return base64.b64decode(data, validate=True)


def assert_self_contained(page):
    """Nothing is fetched: sources are inside, links go to DOIs, downloads and places on the page."""
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        if "src" in attributes:
            assert attributes["src"].startswith("data:image/")
        if tag == "a":
            assert attributes["href"].startswith(("#", "data:text/csv", "https://doi.org/10."))
    style = page.source[page.source.index("<style>") : page.source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert len(page.all("script")) == 1
