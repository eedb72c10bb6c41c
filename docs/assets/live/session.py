"""Run the blocks of code on a page, in one namespace that stays from one run to the next."""

import ast
import contextlib
import io
import linecache
import re
import sys
import traceback

PROMPTED = re.compile(r"^ *>>>.*(?:\n *\.\.\..*)*", re.MULTILINE)
PROMPT = re.compile(r"^ *(?:>>>|\.\.\.) ?", re.MULTILINE)
LIMIT = 20_000  # characters: with many more, the page would be slow
pages = {}  # the names that each page has made, by its address


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


def attempt(source, file, names, prompted=False):
    """Run code, and return what it printed, and whether it failed; then the error comes last."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            with contextlib.redirect_stderr(printed):  # warnings
                execute(source, file, names, prompted)
        except BaseException as error:  # also exit(), which must not end Python
            return printed.getvalue() + explain(error), True
    return printed.getvalue(), False


def converse(code, file, names):
    """Run what stands after each >>>, and return each with what it really gave."""
    text, failed = "", False
    for found in PROMPTED.finditer(code):
        above = "\n" * code.count("\n", 0, found.start())  # so that errors name the right line
        printed, fails = attempt(above + PROMPT.sub("", found[0]), file, names, prompted=True)
        text += f"{found[0]}\n{printed}" if printed else ""
        failed |= fails
    return text, failed


def run(page, block, code):
    """Run a numbered block of a page; return its text, whether it failed, and its drawings."""
    file, drawings = f"block {block}", []
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
    text, failed = (converse if prompted else attempt)(code, file, names)
    sys.displayhook = before
    if len(text) > LIMIT:
        text = f"{text[:LIMIT]}\n… and {len(text) - LIMIT} more characters"
    return {"text": text, "failed": failed, "drawings": drawings}
