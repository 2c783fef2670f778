"""The contact sheet: one row of pictures per method, one column per caption, as one image."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from .results import Result, accuracy

# everything in pixels of the sheet; demo pictures are shown at twice their size
PICTURE = 256
GAP = 32
EDGE = 72
LABELS = 440
LINE = 35
TITLE, HEADING, TEXT = 54, 34, 26
BADGE = 21  # radius
PAPER, INK, QUIET, RULE = "#ffffff", "#1b1f24", "#656d76", "#d8dee4"
RIGHT, WRONG = "#1a7f37", "#cf222e"
# strokes from the middle of a badge
TICK = (((-9, 1), (-3, 8), (10, -7)),)
CROSS = (((-7, -7), (7, 7)), ((-7, 7), (7, -7)))


def contact_sheet(captions: Sequence[str], results: Sequence[Result], title: str) -> Image.Image:
    """Lay the pictures out, each with a mark that tells whether it shows its caption.

    Args:
        captions: of the columns.
        results: the rows, as many pictures and verdicts in each as there are captions.
        title: a line above everything.

    Raises:
        ValueError: a row has not one picture for each caption.
    """
    for result in results:
        if not len(captions) == len(result.pictures) == len(result.verdicts):
            raise ValueError(
                f"{result.method.model} with {result.method.steps} steps has "
                f"{len(result.pictures)} pictures and {len(result.verdicts)} verdicts for "
                f"{len(captions)} captions; it needs one of each for every caption."
            )
    left = EDGE + LABELS
    width = left + len(captions) * (PICTURE + GAP) - GAP + EDGE
    heading = wrapped(title, width - 2 * EDGE, TITLE)
    lines = [wrapped(text, PICTURE, TEXT) for text in captions]
    tallest = max(map(len, lines), default=0)
    top = EDGE + len(heading) * 2 * LINE + LINE + tallest * LINE + GAP // 2
    height = top + len(results) * (PICTURE + GAP) - GAP + EDGE + 2 * LINE
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    _lines(pen, EDGE, EDGE, heading, TITLE, 2 * LINE)
    for k, broken in enumerate(lines):
        bottom = top - GAP // 2
        _lines(pen, left + k * (PICTURE + GAP), bottom - LINE * len(broken), broken, TEXT, LINE)
    for i, result in enumerate(results):
        _row(sheet, pen, result, left, top + i * (PICTURE + GAP))
    _legend(pen, EDGE, height - EDGE)
    return sheet


def wrapped(text: str, width: int, size: int) -> list[str]:
    """Break a text into lines no wider than `width` pixels, between words."""
    lines = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def font(size: int):
    """Pillow's own typeface, so that the sheet looks the same everywhere."""
    return ImageFont.load_default(size=size)


def _lines(pen, x, y, lines, size, apart):
    for i, line in enumerate(lines):
        pen.text((x, y + i * apart), line, INK, font(size), anchor="lt")


def _row(sheet, pen, result, left, top):
    method = result.method
    passes = f"{method.passes} network pass" + "es" * (method.passes > 1)
    pen.line((EDGE, top - GAP // 2, sheet.width - EDGE, top - GAP // 2), RULE, 2)
    pen.text((EDGE, top + 24), method.title, INK, font(HEADING), anchor="lt")
    details = (
        passes,
        f"{result.seconds:.3f} s, {result.ratio:.1f}x",
        f"right: {accuracy(result.scores['all'])}",
    )
    for k, line in enumerate(details):
        pen.text((EDGE, top + 82 + k * 40), line, QUIET, font(TEXT), anchor="lt")
    for k, (picture, is_right) in enumerate(zip(result.pictures, result.verdicts, strict=True)):
        x = left + k * (PICTURE + GAP)
        image = Image.fromarray(picture).resize((PICTURE, PICTURE), Image.Resampling.BICUBIC)
        sheet.paste(image, (x, top))
        pen.rectangle((x, top, x + PICTURE - 1, top + PICTURE - 1), outline=RULE, width=2)
        _badge(pen, x + PICTURE - 8, top + PICTURE - 8, is_right)


def _badge(pen, x, y, is_right):
    """A tick or a cross in a disc, told apart by form as well as by colour."""
    box = (x - BADGE, y - BADGE, x + BADGE, y + BADGE)
    pen.ellipse(box, fill=RIGHT if is_right else WRONG, outline=PAPER, width=4)
    for stroke in TICK if is_right else CROSS:
        pen.line([(x + dx, y + dy) for dx, dy in stroke], PAPER, 5, joint="curve")


def _legend(pen, x, y):
    for is_right, text in ((True, "shows what its caption says"), (False, "does not")):
        _badge(pen, x + BADGE, y, is_right)
        pen.text((x + 3 * BADGE, y), text, QUIET, font(TEXT), anchor="lm")
        x += 4 * BADGE + GAP + int(font(TEXT).getlength(text))
