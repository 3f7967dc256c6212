"""Reads a page for the tests."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects elements and texts as a browser's parser would find them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
