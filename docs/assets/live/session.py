"""Run the blocks of code on a page, in one namespace that stays from one run to the next."""

import ast
import contextlib
import io
import linecache
import re
import sys
import traceback

try:
    from browser import say  # shows what is printed at once: worker.js
except ImportError:

    def say(text):
        """Show nothing: there is no page."""


PROMPTED = re.compile(r"^ *>>>.*(?:\n *\.\.\..*)*", re.MULTILINE)
PROMPT = re.compile(r"^ *(?:>>>|\.\.\.) ?", re.MULTILINE)
LIMIT = 20_000  # characters: with many more, the page would be slow
pages = {}  # the names that each page has made, by its address


class Output(io.TextIOBase):
    """Keep what is printed, up to the limit, and show it as it comes."""

    def __init__(self):
        self.kept, self.left_out = "", 0
        self.head = ""  # stands before what is printed next, if anything is

    def write(self, text):
        """Take what a program prints."""
        if not text:
            return 0
        text, self.head = self.head + text, ""
        fits = text[: max(0, LIMIT - len(self.kept))]
        self.kept += fits
        self.left_out += len(text) - len(fits)
        if fits:
            say(fits)
        return len(text)

    def end(self, text=""):
        """Say what was left out; then comes an error, which never is."""
        if self.left_out:
            self.kept += f"\n… and {self.left_out} more characters" + "\n" * bool(text)
        self.kept += self.head + text if text else ""
        self.left_out, self.head = 0, ""


def execute(source, file, names, prompted):
    """Run code, and show the values that it has: of all that was typed, or of a last expression."""
    body = ast.parse(source, file).body
    shown = len(body) if prompted else int(bool(body) and isinstance(body[-1], ast.Expr))
    first = len(body) - shown
    exec(compile(ast.Module(body[:first], []), file, "exec"), names)
    exec(compile(ast.Interactive(body[first:]), file, "single"), names)


def explain(error):
    """Return a traceback of the reader's own lines, and the error with its notes."""
    told = traceback.TracebackException.from_exception(error)
    told.__cause__ = told.__context__ = None
    own = [frame for frame in told.stack if frame.filename.startswith("block ")]
    told.stack = traceback.StackSummary.from_list(own) if own else None
    return "".join(told.format())


def attempt(source, file, names, output, prompted=False):
    """Run code, and tell whether it failed; then its error comes last."""
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):  # warnings
            execute(source, file, names, prompted)
    except BaseException as error:  # also exit(), which must not end Python
        output.end(explain(error))
        return True
    return False


def converse(code, file, names, output):
    """Run what stands after each >>>, and show each before what it really gives."""
    failed = False
    for found in PROMPTED.finditer(code):
        above = "\n" * code.count("\n", 0, found.start())  # so that errors name the right line
        output.head = f"{found[0]}\n"
        source = above + PROMPT.sub("", found[0])
        failed |= attempt(source, file, names, output, prompted=True)
    return failed


def run(page, block, code):
    """Run a numbered block of a page; return its text, whether it failed, and its drawings."""
    file, drawings, output = f"block {block}", [], Output()
    names = pages.setdefault(page, {"__name__": "__main__"})
    prompted = code.lstrip().startswith(">>>")
    lines = (PROMPT.sub("", code) if prompted else code).splitlines(keepends=True)
    linecache.cache[file] = (len(code), None, lines, file)  # for tracebacks

    def show(value):
        if isinstance(value, str) and value.startswith(("<svg", "<figure")):
            drawings.append(value)
        elif value is not None:
            print(repr(value))

    sys.displayhook, before = show, sys.displayhook
    failed = (converse if prompted else attempt)(code, file, names, output)
    sys.displayhook = before
    output.end()
    return {"text": output.kept, "failed": failed, "drawings": drawings}
