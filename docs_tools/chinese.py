"""The Chinese edition (简体): the English pages, with each paragraph replaced by its translation.

    python docs_tools/pages.py            writes both editions, and warns of what is not translated
    python docs_tools/pages.py --update   writes the catalogs anew, with what is missing; pages that
                                          follow, such as lecture.md, are begun

translations/zh/PAGE.md is the Chinese page. Before each paragraph, in a comment, stands the English
one it was made from, and by that it is found:

    <!-- en
    The ball rolls on.
    -->
    球继续滚。

So code, formulas and numbers come from the English page, and a paragraph whose English has changed
is shown in English until it is translated again. A computed sentence is found whatever its numbers
are: "after {} updates w = {}". They go into the translation in their order, or as {2}, {1}.
"""

import difflib
import html
import json
import re
from collections import Counter
from pathlib import Path

import fences
from ledger import plain
from markdown.extensions.toc import slugify, unique
from precompute import playground

FOLDER = Path(__file__).parent.parent / "translations" / "zh"
ENGLISH = (  # the pages that stay English in the Chinese edition
    *("api/", "speed.md", "gpu.md", "trust.md", "mistakes.md", "papers.md"),
    *("changelog.md", "contributing.md", "add_an_operation.md"),
)
ENGLISH_ONLY = '<p class="untranslated" lang="zh-Hans">这一页还没有译成中文。</p>'
ALONE = ("glossary.md", "script.md", "navigation.md")  # whose words are translated for them only
ENTRY = re.compile(r"<!-- en\n(.*?)\n-->\n(.*?)(?=\n*<!-- en\n|\Z)", re.DOTALL)
CLAIM = re.compile(r"(?:\((\w+ of \w+)\))? ?(· )?(?:[Cc]laim (\w+))?")  # as cards name it
OUTCOMES = re.compile(r"(reproduced|contradicted|not seen|not measured): ")  # by condition
WIDE = r"[\u2e80-\u9fff\uff00-\uffef\u3000-\u303f“”‘’…—]"
KEPT = re.compile(r"`[^`]+`|\]\([^)]*\)|\d+(?:[.,]\d+)*")  # what stands in both editions
NUMBER = re.compile(r"(?<![\w.])[-+−±]?\d+(?:[.,]\d+)*(?:e[-+−]?\d+)?(?![\w])")


def squeeze(text):
    r"""Join the lines of a paragraph; beside a Chinese character no space is left.

    >>> squeeze("球继续\n滚。"), squeeze("The ball\nrolls on.")
    ('球继续滚。', 'The ball rolls on.')
    """
    text = re.sub(rf"(?<={WIDE})\s*\n\s*|\s*\n\s*(?={WIDE})", "", text.strip())
    return re.sub(r"\s+", " ", text)


def worth(text):
    """Tell whether there is anything to translate: English words, but no Chinese sentence.

    >>> worth("`x` = $1$"), worth("η rises"), worth("每看完一个 epoch 就打乱")
    (False, True, False)
    """
    text = re.sub(r"`[^`]*`|\$[^$]*\$|<[^>]*>|\]\([^)]*\)|https?://\S+|&\w+;|\{[^}]*\}", "", text)
    chinese, english = (
        re.findall(r"[\u3400-\u9fff]", text),
        "".join(re.findall(r"[A-Za-z]{2,}", text)),
    )
    return bool(english) and (len(chinese) < 4 or 2 * len(chinese) < len(english))


def numbers_out(text):
    """Split a computed sentence into its words and its numbers.

    >>> numbers_out("B = 32 saves 528 updates")
    ('B = {} saves {} updates', ['32', '528'])
    """
    return NUMBER.sub("{}", text), NUMBER.findall(text)


def numbers_in(text, numbers):
    """Put the numbers into a translation, in order or as it asks.

    >>> numbers_in("省下 {2} 次更新（B = {1}）", ["32", "528"])
    '省下 528 次更新（B = 32）'
    """
    count = iter(range(len(numbers)))
    return re.sub(r"\{(\d*)\}", lambda m: numbers[int(m[1]) - 1 if m[1] else next(count)], text)


def lost(key, chinese):
    """List what a translation loses: code, links, written numbers, and each {} exactly once.

    >>> lost("`B` = 32 saves {} updates", "`b` = 23 省下 {} 次更新")
    ['`B`', '32']
    """
    kept, found = (Counter(KEPT.findall(re.sub(r"\{\d*\}", "", it))) for it in (key, chinese))
    if kept - found:
        return [*(kept - found)]
    marks = [f"<{i}>" for i in range(key.count("{}"))]
    try:
        return [it for it in marks if numbers_in(chinese, marks).count(it) != 1]
    except (IndexError, StopIteration):
        return ["more than there are"]


def done(key, chinese):
    """Tell whether a translation is there, and has all the numbers."""
    return bool(chinese) and not chinese.startswith("TODO") and not lost(key, chinese)


class Catalog:
    """The translations of all pages, and what was asked for, found or not."""

    def __init__(self, folder=FOLDER, begun=(), timed=()):
        self.timed = timed  # pages whose words depend on how fast this machine is
        self.folder, self.pages, self.anywhere = folder, {page: {} for page in begun}, {}
        self.page, self.wanted = "", {}  # the page being translated; by page: key → translation
        self.asked = {}  # the first page with a paragraph that lacks a translation: it goes there
        for file in sorted(folder.rglob("*.md")):
            entries = {
                squeeze(english): squeeze(chinese)
                for english, chinese in ENTRY.findall(file.read_text(encoding="utf-8"))
            }
            page = file.relative_to(folder).as_posix()
            self.pages[page] = entries
            for key, chinese in entries.items():
                if done(key, chinese) and page not in ALONE:
                    self.anywhere.setdefault(key, page)

    def find(self, text, computed=False):
        """Translate a text, or return None; if it is computed, its numbers are left out first."""
        key = squeeze(text)
        if not worth(key):
            return text
        if match := CLAIM.fullmatch(key):
            share, dot, claim = match.groups("")
            share = share and f"（{share.replace(' of ', '/')}）"
            claim = claim and f"论断 {claim}"
            return f"{share}{dot}{claim}"
        words, numbers = numbers_out(key)
        for known in (key, words):
            for page in (self.page, self.anywhere.get(known, "")):
                found = self.pages.get(page, {}).get(known, "")
                if done(known, found):
                    self.wanted.setdefault(page, {})[known] = found
                    return found if known == key else numbers_in(found, numbers)
        lacking = words if computed else key
        self.wanted.setdefault(self.page, {})[lacking] = None
        if self.page not in ALONE:
            self.asked.setdefault(lacking, self.page)
        return None

    def navigation(self, entries):
        """Translate the titles of the navigation."""
        self.page = "navigation.md"
        if isinstance(entries, str):
            return entries
        return [
            it
            if isinstance(it, str)
            else {self.find(title) or title: self.navigation(below) for title, below in it.items()}
            for it in entries
        ]

    def script(self, folder, messages=()):
        """Return a script with the words of all scripts in a folder: `tr("…")`, and of Python.

        The messages of exercises stand in the catalog of the page to print, too.
        """
        self.page = "exercises.md"
        words = {text: self.find(text) or text for text in messages}
        self.page = "script.md"
        said = [
            json.loads(word)
            for file in sorted(folder.rglob("*.js"))
            for word in re.findall(
                r'\btr\(\s*("(?:[^"\\]|\\.)*")', file.read_text(encoding="utf-8")
            )
        ]
        said += [*playground.VERDICTS, *playground.REGIMES]
        words |= {text: self.find(text) or text for text in dict.fromkeys(said)}
        return f"globalThis.words = {json.dumps(words, ensure_ascii=False, indent=1)};\n"

    def missing(self, page):
        """List what a page still lacks."""
        return [key for key, found in self.wanted.get(page, {}).items() if found is None]

    def problems(self):
        """Say what is wrong: English that has changed, and numbers that a translation loses.

        What a catalog lists as TODO is not: readers see English there, and how much of it. Nor is
        what a page says only on a faster machine, or where rounding moves a borderline condition.
        """
        found, listed = [], {key for entries in self.pages.values() for key in entries}
        for page, entries in self.pages.items():
            wanted, lacking = self.wanted.get(page, {}), self.missing(page)
            new = [key for key in lacking if key not in listed]
            new = [key for key in new if self.asked.get(key) not in self.timed]
            new = [key for key in new if not OUTCOMES.match(key)]
            found += [f"{page}: not translated: {key}" for key in new]
            for key, chinese in entries.items():
                if chinese and (gone := lost(key, chinese)) and chinese[:4] != "TODO":
                    found.append(f"{page}: {', '.join(gone)} not once in: {chinese}")
                if key not in wanted and page not in self.timed and not OUTCOMES.match(key):
                    near = difflib.get_close_matches(key, lacking, 1, 0.6)
                    now = f"\n    is now: {near[0]}" if near else ""
                    found.append(f"{page}: translated, but no longer there: {key}{now}")
        return found

    def progress(self):
        """Say how much of the catalogs is translated."""
        entries = [item for page in self.pages.values() for item in page.items()]
        finished = sum(done(key, chinese) for key, chinese in entries)
        return f"translations/zh: {finished} of {len(entries)} entries are translated"

    def update(self):
        """Write the catalogs anew, in the order of the pages; what is missing is marked TODO."""
        for page, old in self.pages.items():
            known, text = {key: it for key, it in old.items() if done(key, it)}, ""
            for key, found in self.wanted.get(page, {}).items():
                if not found and self.asked.get(key, page) != page and page not in ALONE:
                    continue  # a translator meets it once
                near = [] if found else difflib.get_close_matches(key, known, 1, 0.6)
                text += f"<!-- en\n{key}\n-->\n"
                text += f"{found or ' '.join(['TODO', *map(known.get, near)])}\n\n"
            file = self.folder / page
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


# ── A page ───────────────────────────────────────────────────────────────────────────────────────

FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
HEADING = re.compile(r"(#{1,6} )(.*?)( *\{[^}]*\})?$")
BULLET = re.compile(r"((?:[*+-]|\d+\.) +)(.*)")
ADMONITION = re.compile(r'((?:!!!|\?\?\?\+?) [\w ]+?)(?: "(.*)")?$')
TAG = re.compile(r"</?(div|p|section|figure|details|summary|fieldset|ul|ol|table|svg|script)\b")
IMAGE = re.compile(r"(!\[)([^\]]*)(\]\([^)]*\)(?:\{[^}]*\})?)")
TITLE = re.compile(r"(\**\[)([^\]]*)(\]\([^)]*\)\**)$")  # a link to a page, by its title
BADGE = re.compile(
    r'^(.*?)\s*\[(<span class="verdict [\w-]+">)([^<]*)</span>(?: \(([^)]*)\))?\](\([^)]*\))$',
    re.DOTALL,
)
NODE = re.compile(
    r'((?:aria-label|title|alt)=")([^"]+)(?=")|(>)([^<>]*[A-Za-z]{2}[^<>]*)(?=<)', re.DOTALL
)
BET = re.compile(r'(?<=data-bet=")([^"]*)')


def page(text, name, catalog):
    """Make the Chinese page, or say that there is only the English one."""
    if not name.startswith(ENGLISH) and name in catalog.pages:
        return translate(text, name, catalog)
    front = FRONT.match(text)
    head, text = (front[0][:-4], text[front.end() :]) if front else ("---\n", f"\n{text}")
    said = f"\n\n{ENGLISH_ONLY}"
    text = re.sub(r"^# .*$", lambda m: m[0] + said, text, count=1, flags=re.MULTILINE)
    return f"{head}lang: en\n---\n{text}"


def translate(text, page, catalog):
    """Translate a page of Markdown: its paragraphs, and no code, formula or number."""
    catalog.page = page
    front = FRONT.match(text)
    head = re.sub(r"^description:(.*\n(?: +.*\n)*)", "", front[0], flags=re.M) if front else ""
    text = text[front.end() :] if front else text
    out, seen, lines, i = [], set(), text.split("\n"), 0
    fenced = {text.count("\n", 0, it.start): text[it.start : it.end] for it in fences.parse(text)}
    while i < len(lines):
        indent, body = re.match(r"( *)(.*)", lines[i]).groups()
        if i in fenced:
            out.append(fenced[i])
            i += fenced[i].count("\n") + 1
            continue
        end = i + 1
        if HEADING.fullmatch(body):
            body = heading(body, seen, catalog)
        elif match := ADMONITION.fullmatch(body):
            title = match[2] or match[1].split()[1].capitalize()
            body = f'{match[1]} "{titled(title, catalog) or title}"'
        elif body.startswith("|"):
            body = "|".join(cell(it, page, catalog) for it in re.split(r"(?<!\\)\|", body))
        elif body:
            while end < len(lines) and lines[end].strip() and end not in fenced:
                if not TAG.match(body) and re.match(r" *(\||[*+-] |\d+\. |#+ |<div)", lines[end]):
                    break
                end += 1
            body = paragraph("\n".join([body, *lines[i + 1 : end]]), indent, catalog)
        out.append(indent + body if body else "")
        i = end
    if left := len(catalog.missing(page)):
        at = next(i for i, line in enumerate(out) if line.startswith("# ")) + 1
        out.insert(at, f'\n<p class="untranslated">本页还有 {left} 段没有译成中文。</p>\n')
    return head + "\n".join(out)


def heading(line, seen, catalog):
    """Translate a heading, and give it the English one's anchor, so that links lead to both."""
    marks, title, attributes = HEADING.fullmatch(line).groups()
    text = re.sub(r"\]\([^)]*\)|[`*\[]", "", title)
    anchor = unique(slugify(html.unescape(text), "-"), seen)
    found = titled(title, catalog)
    kept = attributes or (f" {{ #{anchor} }}" if found else " { lang=en }")
    return f"{marks}{found or title}{kept}"


def titled(text, catalog):
    """Translate a title; an exercise has one in its chapter, in the course and on paper."""
    number = re.match(r"\d+\. ", text) if catalog.page.startswith("exercises") else None
    if text.startswith("Exercise: "):
        text = text.removeprefix("Exercise: ")
        found = catalog.find(text[0].upper() + text[1:])
        return found and f"练习：{found}"
    found = catalog.find(text[number.end() :] if number else text)
    return found and (number[0] if number else "") + found


def cell(text, page, catalog):
    """Translate a cell of a table."""
    left, bold, words, right = re.fullmatch(r"(\s*)(\*\*)?(.*?)(?:\*\*)?(\s*)", text).groups()
    if page == "ledger.md" and "<span" not in words and "](" not in words:
        lines = [html.unescape(re.sub(r"\\(.)", r"\1", it)) for it in words.split("<br>")]
        found = [plain(catalog.find(it, computed=True) or it) for it in lines]
        return f"{left}{'<br>'.join(found)}{right}"
    return f"{left}{bold or ''}{lines_of(words, catalog)}{bold or ''}{right}"


def lines_of(text, catalog):
    """Translate lines between <br>: verdicts that are links, titles, and words."""
    made = []
    for line in text.split("<br>"):
        if made and re.fullmatch(r"\*[^*]+\*", line):
            continue  # what a Chinese sentence means
        if match := BADGE.search(line):
            said, tag, word, share, link = match.groups()
            said = said and f"{catalog.find(said) or said} "
            found = catalog.find(word) or word
            share = share and f"（{catalog.find(share, computed=True) or share}）"
            made.append(f"{said}[{tag}{found}</span>{share or ''}]{link}")
        elif match := TITLE.fullmatch(line):
            made.append(match[1] + (catalog.find(match[2]) or match[2]) + match[3])
        elif "<" in line:
            made.append(nodes(line, catalog))
        else:
            made.append(catalog.find(line, computed=True) or line)
    return "<br>".join(made)


def paragraph(text, indent, catalog):
    """Translate a paragraph, an item of a list, or a line of HTML."""
    if text.startswith('<figure class="backward-pass'):
        return text.replace("<figure ", '<figure lang="en" ', 1)  # the library's own words
    if text.startswith("claim "):  # the verdicts on a card
        return nodes(f">{text}<", catalog)[1:-1]
    if TAG.match(text):
        return BET.sub(lambda m: bet(m[1], catalog), nodes(text, catalog))
    mark, text = BULLET.fullmatch(text.split("\n")[0]) and BULLET.match(text).groups()[0], text
    mark = mark or ""
    body = text[len(mark) :]
    whole = squeeze(body)
    if IMAGE.sub("", whole).strip() == "" or re.fullmatch(r"\{[^}]*\}", whole):
        alts = lambda m: m[1] + (catalog.find(m[2], computed=True) or m[2]) + m[3]  # noqa: E731
        return mark + IMAGE.sub(alts, whole)
    if body.startswith("$$") and r"\text" not in body:
        return text
    if match := TITLE.fullmatch(whole):
        return mark + match[1] + (catalog.find(match[2]) or match[2]) + match[3]
    attributes = re.search(r"\n *(\{ [.#:][^}]*\})$", body)  # of the paragraph
    body = body[: attributes.start()] if attributes else body
    found = lines_of(body, catalog) if "<br>" in body else catalog.find(body)
    if found is None:
        return text if mark or attributes else f"{text}\n{indent}{{ lang=en }}"
    return mark + found + (f"\n{indent}{attributes[1]}" if attributes else "")


def nodes(text, catalog):
    """Translate the texts of HTML, its labels and its descriptions."""

    def node(match):
        before, words = match[1] or match[3], match[2] or match[4]
        left, core, right = re.fullmatch(r"(\s*)(.*?)(\s*)", words, re.DOTALL).groups()
        found = catalog.find(html.unescape(core), computed=True)
        return before + (
            left + html.escape(found, quote=bool(match[1])) + right if found else words
        )

    return NODE.sub(node, text)


def bet(data, catalog):
    """Translate what a bet asks and answers."""
    kept = json.loads(html.unescape(data))
    for name in ("question", "told", "unit"):
        kept[name] = catalog.find(kept[name], computed=True) or kept[name]
    same = {option: catalog.find(option, computed=True) or option for option in kept["options"]}
    kept["options"] = list(same.values())
    kept["answer"] = same.get(kept["answer"], kept["answer"])
    return html.escape(json.dumps(kept, ensure_ascii=False))


def figure(data, name, catalog):
    """Translate the words in a figure of a note; they are in the note's catalog."""
    catalog.page = f"{name.rpartition('/')[0]}.md"

    def label(match):
        words = squeeze(html.unescape(match[2]))
        found = catalog.find(words, computed=True) or match[2]
        return match[1] + (found if found == match[2] else html.escape(found, quote=False))

    text = re.sub(r"(<text\b[^>]*>)([^<]+)(?=</text>)", label, data.decode())
    return text.replace("<svg ", '<svg xml:lang="zh-Hans" ', 1).encode()
