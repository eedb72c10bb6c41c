"""Show doctests that stand outside an Examples section as code, too, and not as quotations."""

import re

import griffe


class FencedDoctests(griffe.Extension):
    """Put a fence around each, before the docstring is parsed."""

    def on_object(self, *, obj, **rest):
        """Change an object's docstring."""
        if obj.docstring and "\nExamples\n---" not in obj.docstring.value:
            fenced = r"```pycon\n\g<0>\n```"
            text = re.sub(r"^>>> .*(\n.+)*", fenced, obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = text
