"""What every page gets: a description, players' links, the language of Chinese, sizes of images."""

import base64
import html
import json
import re
import struct
from posixpath import dirname, join, normpath

import fences

HAN = "[\u3400-\u9fff\u3000-\u303f\uff01-\uffef]+"
FRONT = re.compile(r"\A---\n(.*?)^---\n", re.MULTILINE | re.DOTALL)


def outside(text, pattern, put):
    """Substitute in a page's prose: not in its front matter and not in its fences."""
    front = FRONT.match(text)
    parts, done = [], front.end() if front else 0
    parts.append(text[:done])
    for fence in [*fences.parse(text), None]:
        prose = text[done : fence.start if fence else len(text)]
        parts += [re.sub(pattern, put, prose, flags=re.MULTILINE)]
        parts += [text[fence.start : fence.end]] if fence else []
        done = fence.end if fence else done
    return "".join(parts)


def mark_chinese(text):
    """Say which words are Chinese, so that they are read out and drawn as such.

    >>> mark_chinese("[动量](x.md) in `动量` is momentum")
    '[<span lang="zh-Hans">动量</span>](x.md) in `动量` is momentum'
    """
    other = r"!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)|`[^`\n]*`|<[^>\n]*>|^!!! .*$|^\?\?\? .*$"
    mark = '<span lang="zh-Hans">{}</span>'
    return outside(text, f"{other}|({HAN})", lambda m: mark.format(m[1]) if m[1] else m[0])


def link_players(text, name):
    """Link to settings of the playground, which are no anchors of its page.

    >>> link_players("[Go](playground.md#surface=ball&lr=1)", "lecture.md")
    '<a href="../playground/#surface=ball&amp;lr=1">Go</a>'
    """
    depth = name.count("/") + (not name.endswith("index.md"))
    link = r"\[([^\]]+)\]\((?:\.\./)*playground\.md(\?present)?(#surface=[^)]*)\)"

    def put(match):
        words, present, settings = match.groups()
        address = f"{'../' * depth}playground/{present or ''}{settings}"
        return f'<a href="{html.escape(address)}">{words}</a>'

    return outside(text, link, put)


# ── Descriptions ─────────────────────────────────────────────────────────────────────────────────


def describe(text):
    r"""Give a page that has none a description: the beginning of its first paragraph.

    >>> describe("# Title\n\nIt *is* [so](x.md). More.\n").splitlines()[1]
    'description: "It is so. More."'
    """
    front = FRONT.match(text)
    if front and "description:" in front[1]:
        return text
    body = text[front.end() :] if front else text
    paragraphs = [block for block in body.split("\n\n") if re.match(r"[\w*\[“\"]", block)]
    first = next((block for block in paragraphs if "{ .about }" not in block), "")
    first = re.sub(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]*>|[*`$\\]|\{ .*? \}", r"\1", first)
    first = re.sub('"([^"]*)"', r"“\1”", " ".join(first.split()))  # " would end the attribute
    words, told = first.split(" "), ""
    while words and len(told) + len(words[0]) < 190:
        told += f" {words.pop(0)}"
    if words:  # end with a sentence, or else with an ellipsis
        told = re.match(r"(.*[.?!]) ", f"{told} ")[1] if re.search(r"[.?!] ", told) else f"{told} …"
    line = f"description: {json.dumps(told.strip(), ensure_ascii=False)}\n"
    return f"---\n{front[1] if front else ''}{line}---\n\n{body.lstrip()}"


# ── Images ───────────────────────────────────────────────────────────────────────────────────────


def size_of(data):
    """Return the width and the height of an SVG or a GIF, in pixels.

    >>> size_of(b'<svg width="72pt" height="36pt">'), size_of(b"GIF89a" + bytes([64, 0, 32, 0]))
    ((96, 48), (64, 32))
    """
    if data.startswith(b"GIF"):
        return struct.unpack("<HH", data[6:10])
    head = re.search(rb"<svg[^>]*>", data)[0].decode()
    sides = []
    for side in ("width", "height"):
        number, unit = re.search(rf'\b{side}="([\d.]+)(pt)?', head).groups()
        sides.append(round(float(number) * (4 / 3 if unit else 1)))
    return tuple(sides)


def size_images(text, name, files):
    """Write the sizes of images into a page, so that nothing moves when they arrive."""

    def put(match):
        alt, path, theme, attributes = match.groups()
        if path.startswith("data:"):
            data = base64.b64decode(path.partition(",")[2])
        else:
            data = files[normpath(join(dirname(name), path))]
        width, height = size_of(data)
        more = f"{(attributes or '').strip('{} ')} width={width} height={height}".strip()
        return f"![{alt}]({path}{theme or ''}){{ {more} }}"

    return outside(text, r"!\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)(\{[^}]*\})?", put)


def finish(text, name, files):
    """Give a page all that every page gets, but for the language of its words."""
    return size_images(link_players(describe(text), name), name, files)
