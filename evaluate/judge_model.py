"""Votes of a model on the pairs of a blind comparison, asked with their pictures both ways round.

Models prefer a place. Zheng et al., arXiv:2306.05685, "Swapping positions": a picture wins where it
is preferred in both orders; answers that change with the order are a tie.
"""

import hashlib
import math
import time
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from .judge_address import Judge, ask, quoted
from .judge_question import ANSWERS, answer_of, data_url, message
from .pairing import LONGEST_NAME, Pair, pairs_of
from .votes import MODEL, Progress, Votes

# in which the sides of a pair are shown
ORDERS = ("left", "right"), ("right", "left")
# of an answer of one word with what ends it; models that think first write hundreds
REPLY_TOKENS = 10
# of English, help.openai.com: "What are tokens and how to count them?"
BYTES_PER_TOKEN = 4
# of a model's name that is too long for a rater, characters of its hash
MARK = 8


class Cost(NamedTuple):
    """What the votes that a judge has not cast yet take, about.

    Attributes:
        pictures: sent, each of a pair twice.
        input_tokens, output_tokens: by OpenAI's rules for GPT-4o; other models count otherwise.
        money: in the currency of the prices; None without prices.
    """

    pairs: int
    requests: int
    pictures: int
    input_tokens: int
    output_tokens: int
    money: float | None

    def sentence(self) -> str:
        money = "" if self.money is None else f", {_amount(self.money)} at the prices given"
        return (
            f"{self.pairs:,} pairs are to be judged with {self.requests:,} requests that send "
            f"{self.pictures:,} pictures: about {self.input_tokens:,} tokens in and "
            f"{self.output_tokens:,} out, as GPT-4o counts them{money}."
        )


class Judged(NamedTuple):
    """Pairs that a model voted on in one call, and those of them where order changed its answer."""

    pairs: int
    turned: int


def rater_of(model: str) -> str:
    """The name under which a model votes: its own, as far as that is a rater's."""
    name = "".join(sign for sign in model if sign.isprintable()).strip()
    if name == model and len(name) <= LONGEST_NAME:
        return name
    # so that no two models are one rater
    digest = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:MARK]
    return f"{name[: LONGEST_NAME - MARK - 1].strip()} {digest}".strip()


def estimate(
    votes: Votes,
    judge: Judge,
    width: int,
    height: int,
    *,
    reply_tokens: int = REPLY_TOKENS,
    prices: tuple[float, float] | None = None,
) -> Cost:
    """What a call of `judge_pairs` would take; nothing is asked or written.

    Args:
        width, height: pixels of a picture, the largest where they differ.
        reply_tokens: of one answer.
        prices: of a million tokens in, and of a million tokens out.

    Raises:
        ValueError: a number is out of range.
        OSError: the votes cannot be read.
    """
    if min(width, height) < 1:
        raise ValueError(f"pictures have {width} x {height} pixels; allowed are 1 or more.")
    if reply_tokens < 1:
        raise ValueError(f"reply_tokens is {reply_tokens}; allowed are 1 or more.")
    if prices is not None and not all(0.0 <= price < math.inf for price in prices):
        raise ValueError(f"prices are {prices}; allowed are 0 or more of a million tokens.")
    rater = rater_of(judge.model)
    answered = votes.progress(rater, kind=MODEL).answered
    # whoever rates goes on in the order of his pairs
    pairs = [] if votes.is_closed() else pairs_of(rater, votes.study)[answered:]
    requests = len(ORDERS) * len(pairs)
    words = sum(len(ORDERS) * _tokens_of_words(votes.study, pair) for pair in pairs)
    tokens_in = words + 2 * requests * picture_tokens(width, height)
    tokens_out = requests * reply_tokens
    money = prices and (tokens_in * prices[0] + tokens_out * prices[1]) / 1e6
    return Cost(len(pairs), requests, 2 * requests, tokens_in, tokens_out, money)


def picture_tokens(width: int, height: int) -> int:
    """Tokens of a picture in high detail, an estimate.

    platform.openai.com/docs/guides/images-vision, "Calculating costs", GPT-4o: scaled down to fit
    2048 x 2048, then to 768 on its shorter side; 85, and 170 for each square of 512.

    Args:
        width, height: pixels.
    """
    short, long = sorted((width, height))
    # exact, since a side may end where a square does
    scale = min(Fraction(1), Fraction(2048, long), Fraction(768, short))
    return 85 + 170 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)


def judge_pairs(
    votes: Votes,
    judge: Judge,
    picture: Callable[[Pair, str], bytes],
    *,
    on_judged: Callable[[Progress], object] = lambda progress: None,
    sleep: Callable[[float], object] = time.sleep,
) -> Judged:
    """Let a model vote on all pairs that it has not, each with two requests or more.

    Its votes are of kind MODEL, by `rater_of`. Each is on the disk before the next pair is asked,
    and only whole ones are, however this ends; called again, it goes on.

    Args:
        picture: a PNG file, of a pair and "left" or "right".
        on_judged: called after each vote; may raise to end this.
        sleep: as of `ask`.

    Raises:
        ValueError: an answer is none of ANSWERS, asked twice; a picture is no PNG file; the study
            was closed, or another call of the same model voted meanwhile; or as of `ask`.
        OSError: as of `ask`, or the votes cannot be read or written.
    """
    rater = rater_of(judge.model)
    pairs = turned = 0
    while pair := votes.next_pair(rater, kind=MODEL):
        urls = {
            side: data_url(f"the {side} picture of pair {pair.number}", picture(pair, side))
            for side in ORDERS[0]
        }
        asked = votes.study.asked(pair.prompt), votes.study.prompts[pair.prompt].text
        choices = {_choice(judge, pair, asked, urls, order, sleep) for order in ORDERS}
        is_turned = len(choices) > 1
        votes.vote(rater, pair.number, "tie" if is_turned else choices.pop(), kind=MODEL)
        pairs, turned = pairs + 1, turned + is_turned
        on_judged(votes.progress(rater, kind=MODEL))
    return Judged(pairs, turned)


def _choice(judge, pair, asked, urls, order, sleep):
    """What a model chooses where the sides are shown in an order."""
    shown = [urls[side] for side in order]
    for is_again in (False, True):
        text = ask(judge, message(*asked, *shown, is_again=is_again), sleep=sleep)
        answer = answer_of(text)
        if answer is not None:
            return dict(zip(ANSWERS, (*order, "tie"), strict=True))[answer]
    raise ValueError(
        f"{judge.endpoint} was asked twice about pair {pair.number}, and its answer is none of "
        f"{', '.join(ANSWERS)}: {quoted(judge, text)}. Nothing is voted for this pair. Choose a "
        "model that looks at pictures and does as it is told."
    )


def _tokens_of_words(study, pair):
    content = message(study.asked(pair.prompt), study.prompts[pair.prompt].text, "", "")
    words = "".join(part.get("text", "") for part in content)
    return math.ceil(len(words.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def _amount(money):
    return f"{money:,.2f}" if money >= 1.0 else f"{money:.2g}"
